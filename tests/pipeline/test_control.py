"""How a night is run: retries, its hour, what stands in the way, room, kept results; with stages that are only pretended."""

import io
import os
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from workbench.pipeline import room, runner
from workbench.pipeline import status as states
from workbench.pipeline.display import PlainView
from workbench.pipeline.experiment import ExperimentError, awaited
from workbench.pipeline.files import hash_path, read_json, write_json
from workbench.pipeline.inputs import Inputs
from workbench.pipeline.load import load_experiment
from workbench.pipeline.room import NoRoom, Room, free_memory, parse_size, size
from workbench.pipeline.runner import run
from workbench.pipeline.settings import Settings
from workbench.pipeline.stage import Stage
from workbench.pipeline.status import STOP_NOTE
from workbench.pipeline.until import parse_until, too_late
from workbench.policies.storage import write_pair

LOOP = {
    "collect": {"parameters": {"policy": "${previous.train.policy}"}, "initial": {"policy": "random"}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
    "judge": {},
}
ARTIFACT = {"collect": "dataset", "train": "policy", "judge": "leaderboard"}


class Pretended:
    """A stage that ends at once, in the next of the states that are laid down for it, or `finished`.

    Args:
        ends: states by the stage's name, used up one by one; a function is called with the folder and gives the state.
    """

    def __init__(self, ends=()):
        self.ends = {name: list(listed) for name, listed in dict(ends).items()}
        self.began: list[str] = []

    def __call__(self, folder, time_limit):
        self.folder, self.request = folder, read_json(folder / "request.json")
        self.began.append(f"{self.request['stage']} {self.request['generation']}")
        return self

    def wait(self, tick):
        tick({})
        waiting = self.ends.get(self.request["stage"])
        state = waiting.pop(0) if waiting else states.FINISHED
        state = state(self.folder, tick) if callable(state) else state
        if state == states.FINISHED:
            name = ARTIFACT[self.request["stage"]]
            (self.folder / name).write_text(f"made with {self.request['inputs']}")
            made = {
                "path": (self.folder / name).relative_to("outputs/x").as_posix(),
                "hash": hash_path(self.folder / name),
            }
            result = {"artifacts": {name: made}, "metrics": {}, "provenance": {"wall_seconds": 1.0}}
            write_json(self.folder / "result.json", {**result, "fingerprint": self.request["fingerprint"]})
        write_json(
            self.folder / "status.json", {"state": state, "message": "" if state == states.FINISHED else f"was {state}"}
        )
        return state

    def stop(self, number):
        write_json(self.folder / "status.json", {"state": states.INTERRUPTED, "message": "stopped"})
        return states.INTERRUPTED


def go(file, ends=(), **settings):
    """Runs an experiment of pretended stages; its exit code, its entries by name, what began, what was said."""
    said, launch = io.StringIO(), Pretended(ends)
    shown = PlainView(Console(file=said, width=200))
    code = run(load_experiment(file), Settings(launch=launch, **settings), shown)
    entries = {f"{entry['stage']} {entry['generation']}": entry for entry in found()["stages"]}
    return code, entries, launch.began, said.getvalue()


def found():
    return read_json("outputs/x/experiment.json")


# -- what refers to what -----------------------------------------------------------------------------------------------


def test_what_a_stage_waits_for(write):
    stages = {**LOOP, "judge": {"parameters": {"players": ["${every.train.policy}"]}}}
    chain = load_experiment(write(stages, generations=3)).chains[0]

    def first(stage, generation, **states_of):
        return awaited(
            chain, chain.stages[stage], generation, lambda name, number: states_of.get(f"{name}{number}", "finished")
        )

    assert first("collect", 1, train1="failed") is None
    assert first("collect", 2, train1="failed") == ("train", 1)
    assert first("collect", 3, train1="failed") is None  # the one before is what is meant
    assert first("train", 2, train1="failed", collect2="up to date") is None
    assert first("collect", 3, train2="skipped", train1="failed") == ("train", 1)  # what was skipped stands back
    assert first("collect", 3, train2="skipped", train1="up to date") is None
    assert first("judge", 3, train1="blocked") == ("train", 1)


def test_keep_going_runs_all_that_does_not_refer_to_what_failed(write):
    file = write(LOOP, generations=2)
    code, entries, began, _ = go(file, {"train": ["failed"]}, keep_going=True)
    assert code == 1
    assert began == ["collect 1", "train 1", "judge 1", "judge 2"]
    assert {name: entry["state"] for name, entry in entries.items()} == {
        "collect 1": "finished", "train 1": "failed", "judge 1": "finished",
        "collect 2": "blocked", "train 2": "blocked", "judge 2": "finished",
    }  # fmt: skip
    assert entries["collect 2"]["why"] == "blocked by generation 1/2 · train: failed"
    assert entries["train 2"]["why"] == "blocked by generation 2/2 · collect: blocked"
    assert found()["state"] == "failed"
    code, entries, began, _ = go(file)
    assert (code, began) == (0, ["train 1", "collect 2", "train 2"])


def test_without_it_the_run_ends_with_the_first_failure(write):
    code, entries, began, _ = go(write(LOOP), {"train": ["killed"]})
    assert (code, began, entries["judge 1"]["state"]) == (4, ["collect 1", "train 1"], "pending")


# -- retries -----------------------------------------------------------------------------------------------------------


def test_a_stage_is_tried_again_with_longer_and_longer_waits(write, monkeypatch):
    waited, seen = [], []

    def sleep(seconds):
        entry = found()["stages"][1]
        seen.append((entry["state"], entry["error"], entry["retry"]))
        waited.append(seconds)
        clock[0] += seconds

    clock = [time.time()]
    monkeypatch.setattr(runner.time, "sleep", sleep)
    monkeypatch.setattr(runner.time, "time", lambda: clock[0])
    stages = {**LOOP, "train": {**LOOP["train"], "retries": 3, "retry_delay": "2s"}}
    code, entries, began, said = go(write(stages), {"train": ["killed", "timed out", "failed"]})
    assert code == 0
    assert began == ["collect 1", *["train 1"] * 4, "judge 1"]
    assert sum(waited) == pytest.approx(2 + 4 + 8)
    assert seen[0] == ("killed", "was killed", {"attempt": 2, "of": 4, "waits": 2.0})
    assert [one["state"] for one in entries["train 1"]["tries"]] == ["killed", "timed out", "failed"]
    assert entries["train 1"]["retry"] == {"attempt": 4, "of": 4}
    assert entries["train 1"]["attempt"] == 4
    assert "attempt 2 of 4, waits 2.0 s" in said
    assert "attempt 3 of 4: timed out before: going on from the start" in said
    assert entries["train 1"]["why"].startswith("attempt 4 of 4: failed before")


def test_retries_end(write, monkeypatch):
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)
    stages = {"collect": {"retries": 2, "retry_delay": "0.01s"}}
    code, entries, began, _ = go(write(stages), {"collect": ["failed"] * 9})
    assert (code, len(began), entries["collect 1"]["state"]) == (1, 3, "failed")


def test_the_longest_wait_is_a_quarter_of_an_hour(write):
    stage = load_experiment(write({"collect": {"retries": 9, "retry_delay": "2m"}})).chains[0].stages["collect"]
    assert [runner.delay_before_retry(stage, number) for number in (1, 2, 3, 4, 9)] == [120, 240, 480, 900, 900]


def test_what_was_interrupted_is_not_tried_again(write):
    def interrupted(folder, tick):
        signal.raise_signal(signal.SIGINT)

    code, entries, began, _ = go(write({"collect": {"retries": 5}}), {"collect": [interrupted]})
    assert (code, began, entries["collect 1"]["state"]) == (130, ["collect 1"], "interrupted")


# -- the hour ----------------------------------------------------------------------------------------------------------


def test_an_hour_is_the_next_one():
    now = datetime(2026, 3, 4, 6, 0)
    assert parse_until("07:30", now).replace(tzinfo=None) == datetime(2026, 3, 4, 7, 30)
    assert parse_until("05:59", now).replace(tzinfo=None) == datetime(2026, 3, 5, 5, 59)
    assert parse_until("2026-03-06T01:00", now).replace(tzinfo=None) == datetime(2026, 3, 6, 1, 0)
    assert parse_until("7:30", now).tzinfo is not None
    for text, message in (
        ("25:00", "expected an hour"),
        ("soon", "expected an hour"),
        ("2026-03-04T05:00", "has passed"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_until(text, now)


def test_what_takes_too_long_is_late():
    until = datetime(2026, 3, 4, 7, 30).astimezone()
    now = datetime(2026, 3, 4, 7, 10)
    assert too_late(until, None, now) == ""
    assert too_late(until, 1200, now) == ""
    assert "takes about 20 min 01 s, and 20 min 00 s are left until" in too_late(until, 1201, now)
    assert "has come" in too_late(until, None, datetime(2026, 3, 4, 7, 30))


def measured(seconds):
    """Leaves behind an experiment whose stages were measured to take so long."""
    document = found()
    for entry in document["stages"]:
        entry["took"] = seconds[entry["stage"]]
    write_json("outputs/x/experiment.json", document)
    for result in Path("outputs/x").rglob("result.json"):
        result.unlink()


def test_nothing_is_begun_that_is_measured_to_take_longer(write):
    file = write(LOOP, generations=2)
    go(file)
    measured({"collect": 1, "train": 7200, "judge": 30})
    until = datetime.now().astimezone() + timedelta(minutes=90)
    code, entries, began, said = go(file, until=until)
    assert code == states.EXIT_CODES["paused"] == 6
    assert began == ["collect 1", "judge 1", "judge 2"]
    assert entries["train 1"]["state"] == entries["collect 2"]["state"] == "pending"
    assert entries["train 1"]["why"].startswith("not started: takes about 2 h 00 min, and 1 h ")
    assert entries["collect 2"]["why"] == "waits for generation 1/2 · train"
    assert found()["state"] == "paused"
    assert "3 stages were not started, to be over at" in found()["message"]
    assert "the same command goes on" in said
    code, _, began, _ = go(file)
    assert (code, began) == (0, ["train 1", "collect 2", "train 2"])


def test_a_stage_that_goes_on_needs_only_what_is_left(write):
    file = write({"train": {}})
    go(file)
    measured({"train": 7200})
    go(file, {"train": ["killed"]})
    document = found()
    document["stages"][0].update(spent=5400.0)
    write_json("outputs/x/experiment.json", document)
    assert go(file, until=datetime.now().astimezone() + timedelta(minutes=29))[2] == []
    assert go(file, until=datetime.now().astimezone() + timedelta(minutes=31))[2] == ["train 1"]


def test_what_runs_at_the_hour_is_stopped_in_good_order(write):
    def goes_on(folder, tick):
        while True:
            tick({})

    until = datetime.now().astimezone() + timedelta(seconds=0.3)
    code, entries, began, said = go(write(LOOP, generations=2), {"collect": [goes_on]}, until=until, keep_going=True)
    assert (code, began) == (6, ["collect 1"])
    assert (entries["collect 1"]["state"], entries["train 1"]["state"]) == ("interrupted", "pending")
    assert (found()["state"], "has come (--until)" in found()["message"]) == ("paused", True)
    assert "has come (--until)" in Path("outputs/x/gen_001/01_collect", STOP_NOTE).read_text()
    assert "stopping: " in said


def test_waiting_for_a_retry_ends_at_the_hour_too(write):
    until = datetime.now().astimezone() + timedelta(seconds=0.3)
    file = write({"collect": {"retries": 1, "retry_delay": "1h"}})
    code, entries, _, _ = go(file, {"collect": ["killed"]}, until=until)
    assert (code, entries["collect 1"]["state"], found()["state"]) == (4, "killed", "killed")


# -- room --------------------------------------------------------------------------------------------------------------


def test_sizes_are_read_and_said():
    sizes = ["500M", "2 GB", "1.5g", "0", "7kb"]
    assert [parse_size(text) for text in sizes] == [500_000_000, 2_000_000_000, 1_500_000_000, 0, 7000]
    assert [size(count) for count in (12, 640_000, 1_234_000_000)] == ["12 bytes", "640 kB", "1.23 GB"]
    with pytest.raises(ValueError, match="such as 500M"):
        parse_size("much")


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_memory_counts(tmp_path, version):
    names = {
        1: ("memory/", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_", "4:memory:/box/one\n"),
        2: ("", "memory.max", "memory.current", "", "0::/box/one\n"),
    }[version]
    base, limit, used, prefix, line = names
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("9:cpu:/box\n" + line)
    inner, outer = tmp_path / f"sys/fs/cgroup/{base}box/one", tmp_path / f"sys/fs/cgroup/{base}box"
    inner.mkdir(parents=True)
    for group, most, taken in ((inner, "max", 70_000), (outer, "100000", 90_000)):
        (group / limit).write_text(f"{most}\n")
        (group / used).write_text(f"{taken}\n")
        (group / "memory.stat").write_text(f"rss 1\n{prefix}inactive_file 4000\n{prefix}active_file 1000\n")
    assert free_memory(tmp_path) == 15_000
    assert free_memory(tmp_path / "nowhere") > 15_000


def test_a_run_does_not_begin_without_room(write):
    file = write(LOOP)
    with pytest.raises(NoRoom, match=r"not started: .* are free on the disk .*--min-disk"):
        go(file, min_disk=10**18)
    with pytest.raises(NoRoom, match=r"of memory are free.*--min-memory"):
        go(file, min_memory=10**18)
    assert not Path("outputs/x/experiment.json").exists()
    assert go(file, min_disk=0, min_memory=0)[0] == 0
    assert found()["stages"][0]["bytes"] > 0


def test_what_stages_took_before_is_asked_for(write):
    file = write(LOOP, generations=2)
    go(file)
    document = found()
    for entry in document["stages"]:
        entry.update(bytes=10**17, state="pending")
    write_json("outputs/x/experiment.json", document)
    with pytest.raises(NoRoom, match=r"about 6e[+]05 TB are needed as measured before"):
        go(file)


def test_a_stage_is_stopped_before_memory_runs_out(write, monkeypatch):
    monkeypatch.setattr(room, "_LOOK_EVERY", 0.0)

    def grows(folder, tick):
        monkeypatch.setattr(room, "free_memory", lambda: 1000)
        for _ in range(9):
            tick({})

    code, entries, _, said = go(write(LOOP), {"collect": [grows]})
    assert code == states.EXIT_CODES["out of room"] == 7
    assert (entries["collect 1"]["state"], entries["train 1"]["state"]) == ("interrupted", "pending")
    assert found()["message"].startswith("stopped: 1 kB of memory are free, and 400 MB have to stay free")
    assert "stopping: 1 kB of memory" in said


def test_low_memory_has_to_last_and_a_full_disk_has_not(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(room, "free_memory", iter([5, 900, 5, 5]).__next__)
    watched = Room(tmp_path, disk=0, memory=100)
    assert [bool(watched.runs_out()) for _ in range(4)] == [False, False, False, True]
    assert "on the disk of" in Room(tmp_path, disk=10**18, memory=0).runs_out()


# -- results and inputs ------------------------------------------------------------------------------------------------


def test_results_of_older_code_are_kept_when_asked_to(write):
    file = write(LOOP)
    go(file)
    result = Path("outputs/x/gen_001/01_collect/result.json")
    changed = read_json(result)
    changed["fingerprint"]["code"] = {"envs/core.py": "as it was then"}
    write_json(result, changed)
    code, entries, began, said = go(file, keep_results=True)
    assert (code, began) == (0, [])
    assert "the library's code changed: envs/core.py; kept as asked (--keep-results)" in said
    assert "kept as asked" in entries["collect 1"]["why"]
    changed["fingerprint"]["parameters"]["games"] = "4"
    write_json(result, changed)
    assert go(file, keep_results=True)[2] == ["collect 1"]  # another parameter is another matter


def test_an_input_that_changes_while_a_stage_runs_spoils_its_result(write):
    def spoils(folder, tick):
        Path("outputs/x/gen_001/01_collect/dataset").write_text("something else")
        return "finished"

    file = write(LOOP)
    code, entries, _, _ = go(file, {"train": [spoils]})
    assert (code, entries["train 1"]["state"]) == (1, "failed")
    assert (
        "its input ${collect.dataset}@1 was altered since it was made while the stage ran"
        in entries["train 1"]["error"]
    )
    code, entries, began, _ = go(file)
    assert (code, began) == (0, ["collect 1", "train 1", "judge 1"])
    assert "was written again since: from the start" in entries["train 1"]["why"]


def test_what_a_cut_off_stage_had_made_is_looked_at(write):
    file = write(LOOP)
    go(file)
    place = Path("outputs/x/gen_001/01_collect")
    write_json(place / "status.json", {"state": "killed", "message": "between its result and its end"})
    assert "killed before: going on" in go(file)[1]["collect 1"]["why"]
    write_json(place / "status.json", {"state": "killed", "message": "between its result and its end"})
    (place / "dataset").write_text("altered")
    assert (
        "killed before, and its dataset (gen_001/01_collect/dataset) was altered: from"
        in go(file)[1]["collect 1"]["why"]
    )


@pytest.mark.parametrize("name", ["request.json", "status.json", "checkpoint/checkpoint.json", "checkpoint/other.json"])
def test_a_stage_begins_again_where_what_it_would_go_on_from_is_damaged(write, name):
    file = write(LOOP)
    go(file, {"collect": ["killed"]})
    folder = Path("outputs/x/gen_001/01_collect")
    write_pair(folder / "checkpoint", "checkpoint", {"weights": np.zeros(3)}, {})
    (folder / name).write_text("{")
    why = go(file)[1]["collect 1"]["why"]
    if name == "status.json":
        assert why == "unknown before: going on from its checkpoint"
    else:
        assert "damaged" in why and why.endswith("from the start")


def test_a_truncated_checkpoint_is_not_gone_on_from(write):
    file = write(LOOP)
    go(file, {"collect": ["killed"]})
    folder = Path("outputs/x/gen_001/01_collect/checkpoint")
    write_pair(folder, "checkpoint", {"weights": np.zeros(300)}, {})
    os.truncate(folder / "checkpoint.safetensors", 200)
    assert "its checkpoint is damaged" in go(file, {"collect": ["killed"]})[1]["collect 1"]["why"]
    write_pair(folder, "checkpoint", {"weights": np.zeros(300)}, {})
    assert "going on from its checkpoint" in go(file)[1]["collect 1"]["why"]


def test_half_a_first_checkpoint_is_none(write):
    file = write(LOOP)
    go(file, {"collect": ["killed"]})
    folder = Path("outputs/x/gen_001/01_collect")
    write_pair(folder / "checkpoint", "checkpoint", {"weights": np.zeros(3)}, {})
    for name in ("json", "safetensors"):
        (folder / f"checkpoint/checkpoint.{name}").rename(folder / f"checkpoint/checkpoint.{name}.new")
    assert go(file, {"collect": ["killed"]})[1]["collect 1"]["why"] == "killed before: going on from what it has done"
    opened = Stage(folder, 0, name="collect", resuming=True, request={})
    assert opened.resuming is False
    write_pair(folder / "checkpoint", "checkpoint", {"weights": np.zeros(3)}, {})
    assert Stage(folder, 0, name="collect", resuming=True, request={}).resuming is True


def test_a_damaged_experiment_file_is_written_anew(write):
    file = write(LOOP)
    go(file)
    Path("outputs/x/experiment.json").write_text("{")
    code, _, began, said = go(file)
    assert (code, began) == (0, [])
    assert "experiment.json is damaged; what the stages themselves have left is looked at" in said


def test_a_stage_does_not_begin_with_an_input_that_was_altered(write):
    def spoils(folder, tick):
        (folder / "dataset").mkdir()
        return "finished"

    stages = {**LOOP, "judge": {}, "late": {"notebook": "02_train", "parameters": {"dataset": "${collect.dataset}"}}}
    ends = {"judge": [lambda folder, tick: Path("outputs/x/gen_001/01_collect/dataset").write_text("x") and "finished"]}
    ARTIFACT["late"] = "policy"
    code, entries, began, _ = go(write(stages), ends)
    assert (code, began) == (1, ["collect 1", "train 1", "judge 1"])
    assert entries["late 1"]["error"].startswith("its input ${collect.dataset}@1 was altered since it was made;")


def test_inputs_are_read_again_only_when_touched(tmp_path, monkeypatch):
    from workbench.pipeline import inputs

    reads = []
    monkeypatch.setattr(inputs, "hash_path", lambda path: reads.append(path) or hash_path(path))
    (tmp_path / "d").mkdir()
    (tmp_path / "d/1").write_text("1")
    held = Inputs({"${a.b}": hash_path(tmp_path / "d")}, {"${a.b}": "d"}, tmp_path)
    assert [held.altered(), held.altered(), len(reads)] == ["", "", 1]
    (tmp_path / "d/2").write_text("2")
    assert held.altered() == "${a.b}"
    (tmp_path / "d/2").unlink()
    assert held.altered() == ""
    (tmp_path / "d/1").unlink()
    (tmp_path / "d").rmdir()
    assert held.altered() == "${a.b}"


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(project, tmp_path_factory):
    """An experiment's YAML in a folder of its own; a secret beside, and a link to it inside."""
    place = tmp_path_factory.mktemp("elsewhere")
    (place / "secret.txt").write_text("42")
    (project / "params/data").mkdir(parents=True)
    (project / "params/data/own.txt").write_text("1")
    (project / "params/data/link.txt").symlink_to(place / "secret.txt")
    (project / "data").mkdir()
    (project / "data/games.txt").write_text("1")

    def _write(value):
        file = project / "params/x.yaml"
        file.write_text(f'name: x\nstages: {{collect: {{parameters: {{policy: "{value}"}}}}}}\n')
        return file

    return place, _write


@pytest.mark.parametrize(
    "value", ["random", "gen1ou/max-power", "params/data/own.txt", "outputs/x/later", "1.5", "a.b"]
)
def test_names_and_paths_inside_are_let_through(elsewhere, value):
    assert go(elsewhere[1](value))[0] == 0


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "~/.ssh/id_rsa", "~nobody-at-all/x", "../x", "params/../../x", "params/data/link.txt", "data/games.txt"]
)  # fmt: skip
def test_paths_that_lead_outside_are_refused(elsewhere, value):
    with pytest.raises(
        ExperimentError, match=r"policy: .* lies outside .* --allow-path .*, or collect.policy="
    ) as refused:
        go(elsewhere[1](value))
    assert value in str(refused.value)
    assert not Path("outputs").exists()


def test_what_the_command_line_names_is_allowed(elsewhere):
    place, write = elsewhere
    secret = (place / "secret.txt").as_posix()
    file = write(secret)
    assert go(file, allow_paths=(place,))[0] == 0
    loaded = load_experiment(write("random"), [f"collect.policy={secret}"])
    assert run(loaded, Settings(launch=Pretended()), PlainView(Console(file=io.StringIO()))) == 0
    with pytest.raises(ExperimentError, match="lies outside"):
        go(write(secret))


def test_a_result_from_others_cannot_lead_outside(write, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("42")
    file = write(LOOP)
    go(file)
    result = Path("outputs/x/gen_001/01_collect/result.json")
    described = read_json(result)
    described["artifacts"]["dataset"] = {"path": os.path.relpath(secret, "outputs/x"), "hash": hash_path(secret)}
    write_json(result, described)
    with pytest.raises(ExperimentError, match=r"collect\.dataset.*leads out of outputs/x"):
        go(file)
