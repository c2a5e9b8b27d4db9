"""The smaller parts: locks, fingerprints, provenance, the terminal's view."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from workbench.pipeline import provenance
from workbench.pipeline.display import PlainView, progress_words
from workbench.pipeline.files import hash_path, write_json
from workbench.pipeline.fingerprint import damage, differences, fingerprint, notebook_hash
from workbench.pipeline.lock import Lock, Locked
from workbench.pipeline.notebook_io import NotebookError, read_notebook
from workbench.pipeline.request import parents
from workbench.pipeline.sockets import remember, remove_remembered, sockets_folder
from workbench.pipeline.status import is_alive, this_process


def test_a_lock_is_held_by_one_and_dies_with_its_process(tmp_path):
    path = tmp_path / "run.lock"
    with Lock(path) as held:
        assert held.previous is None
        with pytest.raises(Locked, match=f"being run by process {os.getpid()} since"), Lock(path):
            pass
    code = f"import os\nfrom pathlib import Path\nfrom workbench.pipeline.lock import Lock\nwith Lock(Path({str(path)!r})):\n    os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with Lock(path) as held:
        assert held.previous["pid"] != os.getpid()  # it ended without a word
    with Lock(path) as held:
        assert held.previous is None


def test_a_pid_that_is_used_again_is_another_process():
    assert is_alive(this_process())
    assert not is_alive({**this_process(), "started": time.time() - 1e6})
    assert not is_alive(None)


def test_only_code_makes_a_notebook_another_one(project):
    notebook = read_notebook("notebooks/01_collect.ipynb")
    before = notebook_hash(notebook)
    notebook.cells[0].source = "other prose"
    notebook.cells[2].outputs = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    notebook.metadata["papermill"] = {}
    assert notebook_hash(notebook) == before
    notebook.cells[2].source += "\n1"
    assert notebook_hash(notebook) != before


def test_differences_are_said_in_words(project):
    notebook = read_notebook("notebooks/01_collect.ipynb")
    (project / "data.txt").write_text("1")
    before = fingerprint(
        notebook, {"games": 3, "policy": "data.txt"}, {"${train.policy}@1": "h1"}, {"a.py": "1", "b.py": "1"}
    )
    assert before["inputs"]["policy=data.txt"] == hash_path("data.txt")
    assert differences(before, before) == []
    (project / "data.txt").write_text("2")
    now = fingerprint(
        notebook,
        {"games": 4, "policy": "data.txt"},
        {"${train.policy}@1": "h2"},
        {"a.py": "2", "b.py": "1", "new.py": "1"},
    )
    assert differences(before, now) == [
        "games changed: 3 -> 4",
        "input ${train.policy}@1 changed",
        "input policy=data.txt changed",
        "the library's code changed: a.py",
    ]
    assert differences(None, now) == ["its result does not say what it was made from"]


def test_a_damaged_artifact_is_named(tmp_path):
    (tmp_path / "p.txt").write_text("1")
    described = {"path": "p.txt", "hash": hash_path(tmp_path / "p.txt")}
    result = {"artifacts": {"policy": described, "all": [described], "by": {"name": described}}}
    assert damage(result, tmp_path) == ""
    (tmp_path / "p.txt").write_text("2")
    assert damage(result, tmp_path) == "its policy (p.txt) was altered"
    (tmp_path / "p.txt").unlink()
    assert damage({"artifacts": {"all": [described]}}, tmp_path) == "its all[0] (p.txt) is gone"


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_uncommitted_changes_have_a_hash_of_their_own(tmp_path):
    assert provenance.git_state(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    clean = provenance.git_state(tmp_path)
    assert (len(clean["sha"]), clean["dirty"]) == (40, None)
    states = set()
    for content in ("2", "3"):
        (tmp_path / "a").write_text(content)
        states.add(provenance.git_state(tmp_path)["dirty"])
    (tmp_path / "new").write_text("x")
    states.add(provenance.git_state(tmp_path)["dirty"])
    assert len(states) == 3


def test_a_notebook_run_by_hand_has_its_parameters_known(project):
    known = {"games": 7, "rate": np.float64(0.5), "output_dir": "x", "policy": object(), "else": 1}
    found = provenance.by_hand("notebooks/01_collect.ipynb", known)
    assert found == {"notebook": "01_collect.ipynb", "parameters": {"games": 7, "rate": 0.5}}
    assert provenance.by_hand(None, known) == {}
    assert provenance.by_hand("notebooks/none.ipynb", known) == {}
    assert provenance.by_hand("notebooks/untagged.ipynb", known) == {}


def test_provenance_tells_nothing_about_the_person_or_the_host(tmp_path):
    import getpass
    import socket

    write_json(tmp_path / "p.json", provenance.provenance(tmp_path))
    text = (tmp_path / "p.json").read_text()
    assert str(Path.home()) not in text
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_a_running_stage_in_one_line():
    status = {
        "cell": {"index": 4, "of": 12},
        "note": "update 7",
        "done": 1500,
        "total": 10000,
        "pace": 12.5,
        "eta": 680,
    }
    assert progress_words(status) == "cell 5/12 · update 7 · 1,500/10,000 · 12.5/s · 11 min 20 s left"
    assert progress_words({"pace": 0.01}) == "1 min 40 s each"
    assert progress_words({}) == ""


def test_plain_lines_come_once_in_a_while():
    said = io.StringIO()
    shown = PlainView(Console(file=said, width=200), every=0.0)
    shown.stage_started("train", "first run", 65.0)
    shown.tick({"done": 1}, None)
    shown.stage_ended("train", "failed", 3.0, "ValueError: [red]x[/red]")
    lines = [line.split("  ", 1)[1] for line in said.getvalue().splitlines()]
    assert lines == [
        "train: first run (about 1 min 05 s to go)",
        "  1",
        "train: failed in 3.0 s; ValueError: [red]x[/red]",
    ]
    quiet = PlainView(Console(file=io.StringIO()), every=60)
    quiet.tick({"done": 1}, None)
    assert quiet.console.file.getvalue() == ""


def test_what_is_no_notebook_is_refused(tmp_path):
    for content in ("not json", "[]", "\x00"):
        (tmp_path / "n.ipynb").write_text(content)
        with pytest.raises(NotebookError, match=r"n\.ipynb: not a notebook"):
            read_notebook(tmp_path / "n.ipynb")


def test_parents_are_the_runs_that_inputs_come_from():
    inputs = {
        "${previous.train.policy}@1": "h",
        "${collect.dataset}@2": "h",
        "${self_play.snapshots.3}@1[0]": "h",
        "${every.train.policy}@2": "h",
    }
    assert parents(inputs) == [
        "collect of generation 2",
        "self_play of generation 1",
        "train of generation 1",
        "train of generation 2",
    ]
    assert parents({}) == []


def test_only_folders_of_sockets_are_removed(tmp_path):
    mine = tmp_path / "wb-thesis"
    mine.mkdir()
    for noted, gone in ((sockets_folder(), True), (str(mine), False), ("/tmp/../etc", False), (str(tmp_path), False)):
        remember(tmp_path, noted)
        remove_remembered(tmp_path)
        assert Path(noted).exists() is not gone
        assert not (tmp_path / ".sockets").exists()
