"""Who is told of a run's end, and what."""

import contextlib
import getpass
import io
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from workbench.pipeline import notify
from workbench.pipeline.display import PlainView
from workbench.pipeline.files import write_json
from workbench.pipeline.load import load_experiment
from workbench.pipeline.notify import SUMMARY, check_address, post, run_command, summarize, tell
from workbench.pipeline.runner import run
from workbench.pipeline.settings import Settings
from workbench.pipeline.supervise import Supervised


@pytest.fixture
def ended(tmp_path):
    """The folder of an experiment that has ended."""
    entry = {"chain": "", "generation": 1, "stage": "train", "folder": "gen_001/02_train", "why": "first run"}
    stages = [
        {**entry, "state": "finished", "seconds": 60.5, "attempt": 1},
        {**entry, "stage": "judge", "state": "failed", "seconds": 2.0, "attempt": 2, "error": f"no {Path.home()}/x"},
    ]
    found = {
        "name": "night", "file": "params/night.yaml", "overrides": ["train.key=s3cret"], "state": "failed", "message": "",
        "process": {"pid": 1}, "started": "2026-03-04T01:00:00.000+00:00", "updated": "2026-03-04T02:00:00.000+00:00",
        "stages": stages,
    }  # fmt: skip
    write_json(tmp_path / "night/experiment.json", found)
    return tmp_path / "night"


@pytest.fixture
def server():
    """A server on this machine that answers with the codes in its list, and keeps what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            code = self.server.codes.pop(0) if self.server.codes else 200
            time.sleep(1.0 if code == 0 else 0.0)
            self.send_response(code or 200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    serving = HTTPServer(("127.0.0.1", 0), Handler)
    serving.got, serving.codes = [], []
    serving.address = f"http://127.0.0.1:{serving.server_port}/hooks/T0K3N?key=s3cret"
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


def test_a_summary_says_how_it_ended_and_nothing_of_the_person(ended):
    summary = summarize(ended, 1)
    assert summary == {
        "experiment": "night",
        "state": "failed",
        "message": "",
        "exit_code": 1,
        "started": "2026-03-04T01:00:00.000+00:00",
        "ended": "2026-03-04T02:00:00.000+00:00",
        "seconds": 62.5,
        "counts": {"finished": 1, "failed": 1},
        "stages": [
            {"stage": "train", "chain": "", "generation": 1, "state": "finished", "seconds": 60.5, "attempt": 1},
            {
                "stage": "judge", "chain": "", "generation": 1, "state": "failed", "seconds": 2.0, "attempt": 2,
                "error": "no ~/x",
            },
        ],
    }  # fmt: skip
    text = json.dumps(summary)
    for private in ("s3cret", str(Path.home()), socket.gethostname(), f'"{getpass.getuser()}"'):
        assert private not in text


def test_a_command_has_the_summary_on_its_input_and_in_a_file(ended, tmp_path):
    said = []
    command = f'cat > {tmp_path}/input.json; cp "$WORKBENCH_SUMMARY" {tmp_path}/file.json'
    tell(ended, 1, command, "", said.append)
    assert said == []
    assert json.loads((tmp_path / "input.json").read_text()) == summarize(ended, 1)
    assert json.loads((tmp_path / "file.json").read_text()) == summarize(ended, 1)


def test_a_command_that_fails_is_said(ended, monkeypatch):
    said = []
    tell(ended, 0, "exit 3", "", said.append)
    assert said == ["--on-finish: exit 3: ended with exit code 3; the run's result stays as it is"]
    monkeypatch.setattr(notify, "_COMMAND_LIMIT", 0.2)
    assert run_command("sleep 5", {}, ended) == "--on-finish: sleep 5: took longer than 0.2 s"


def test_a_webhook_gets_the_same(ended, server):
    said = []
    tell(ended, 1, "", server.address, said.append)
    assert said == []
    assert server.got == [("/hooks/T0K3N?key=s3cret", "application/json", summarize(ended, 1))]
    assert (ended / SUMMARY).exists()


def test_a_webhook_is_tried_twice_and_its_failure_said_without_its_secrets(ended, server, monkeypatch):
    monkeypatch.setattr(notify, "_PAUSE", 0.01)
    server.codes[:] = [500, 200]
    assert post(server.address, {}, ended) == ""
    assert len(server.got) == 2
    server.codes[:] = [500, 503, 200]
    problem = post(server.address, {}, ended)
    assert problem.startswith(
        f"--webhook: http://127.0.0.1:{server.server_port} was not reached in two attempts: HTTP 503"
    )
    assert len(server.got) == 4
    monkeypatch.setattr(notify, "_ADDRESS_LIMIT", 0.1)
    server.codes[:] = [0, 0]
    problem += post(server.address, {}, ended)
    assert "no answer within 0.1 s" in problem
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/T0K3N"
    problem += post(nobody, {}, ended)
    assert "refused" in problem.lower()
    assert "T0K3N" not in problem and "s3cret" not in problem


@pytest.mark.parametrize("address", ["", "example.org/T0K3N", "file:///etc/passwd", "http://", "https:T0K3N"])
def test_what_is_no_address_is_refused_before_anything_starts(address):
    with pytest.raises(ValueError, match="expected an address") as refused:
        check_address(address)
    assert "T0K3N" not in str(refused.value)


def test_nobody_is_told_where_nobody_asked(ended):
    tell(ended, 0, "", "", print)
    assert not (ended / SUMMARY).exists()


def test_a_summary_that_cannot_be_written_is_said(tmp_path):
    said = []
    (tmp_path / "experiment.json").write_text("{")
    tell(tmp_path, 0, "exit 3", "", said.append)
    assert said[0].startswith("no summary could be written, nobody was told: ")


@pytest.mark.parametrize(("ending", "code", "state"), [("return", 0, "finished"), ("raise", None, "failed")])
def test_a_run_tells_also_of_an_end_that_nobody_foresaw(write, server, ending, code, state):
    def launch(folder, limit):
        if ending == "raise":
            raise RuntimeError("out of threads")
        return Supervised(folder, limit)

    settings = Settings(webhook=server.address, on_finish="cat > told.json", launch=launch)
    shown = PlainView(Console(file=io.StringIO()))
    with contextlib.nullcontext() if code == 0 else pytest.raises(RuntimeError, match="out of threads"):
        assert run(load_experiment(write({"talks": {}})), settings, shown) == code
    [(_, _, summary)] = server.got
    assert summary == json.loads(Path("told.json").read_text())
    assert (summary["state"], summary["counts"]) == (state, {"finished": 1} if code == 0 else {"interrupted": 1})
    assert "out of threads" in summary["message"] or code == 0
