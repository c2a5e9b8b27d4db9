"""How a night is run: what stands in the way, retries, its hour; with stages that are only pretended."""

import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from workbench.pipeline import runner
from workbench.pipeline import status as states
from workbench.pipeline.experiment import awaited
from workbench.pipeline.files import write_json
from workbench.pipeline.launch import with_iterations
from workbench.pipeline.load import load_experiment
from workbench.pipeline.status import STOP_NOTE
from workbench.pipeline.until import parse_until, too_late

LOOP = {
    "collect": {"parameters": {"policy": "${previous.train.policy}"}, "initial": {"policy": "random"}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
    "judge": {},
}


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


def test_keep_going_runs_all_that_does_not_refer_to_what_failed(go, write):
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
    assert go.found()["state"] == "failed"
    code, entries, began, _ = go(file)
    assert (code, began) == (0, ["train 1", "collect 2", "train 2"])


def test_without_it_the_run_ends_with_the_first_failure(go, write):
    code, entries, began, _ = go(write(LOOP), {"train": ["killed"]})
    assert (code, began, entries["judge 1"]["state"]) == (4, ["collect 1", "train 1"], "pending")


def test_a_stage_is_tried_again_with_longer_and_longer_waits(go, write, monkeypatch):
    waited, seen = [], []

    def sleep(seconds):
        entry = go.found()["stages"][1]
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


def test_retries_end(go, write, monkeypatch):
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)
    stages = {"collect": {"retries": 2, "retry_delay": "0.01s"}}
    code, entries, began, _ = go(write(stages), {"collect": ["failed"] * 9})
    assert (code, len(began), entries["collect 1"]["state"]) == (1, 3, "failed")


def test_the_longest_wait_is_a_quarter_of_an_hour(write):
    stage = load_experiment(write({"collect": {"retries": 9, "retry_delay": "2m"}})).chains[0].stages["collect"]
    assert [runner.delay_before_retry(stage, number) for number in (1, 2, 3, 4, 9)] == [120, 240, 480, 900, 900]


def test_what_was_interrupted_is_not_tried_again(go, write):
    def interrupted(folder, tick):
        signal.raise_signal(signal.SIGINT)

    code, entries, began, _ = go(write({"collect": {"retries": 5}}), {"collect": [interrupted]})
    assert (code, began, entries["collect 1"]["state"]) == (130, ["collect 1"], "interrupted")


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


def measured(go, seconds):
    """Leaves behind an experiment whose stages were measured to take so long."""
    document = go.found()
    for entry in document["stages"]:
        entry["took"] = seconds[entry["stage"]]
    write_json("outputs/x/experiment.json", document)
    for result in Path("outputs/x").rglob("result.json"):
        result.unlink()


def test_nothing_is_begun_that_is_measured_to_take_longer(go, write):
    file = write(LOOP, generations=2)
    go(file)
    measured(go, {"collect": 1, "train": 7200, "judge": 30})
    until = datetime.now().astimezone() + timedelta(minutes=90)
    code, entries, began, said = go(file, until=until)
    assert code == states.EXIT_CODES["paused"] == 6
    assert began == ["collect 1", "judge 1", "judge 2"]
    assert entries["train 1"]["state"] == entries["collect 2"]["state"] == "pending"
    assert entries["train 1"]["why"].startswith("not started: takes about 2 h 00 min, and 1 h ")
    assert entries["collect 2"]["why"] == "waits for generation 1/2 · train"
    assert go.found()["state"] == "paused"
    assert "3 stages were not started, to be over at" in go.found()["message"]
    assert "the same command goes on" in said
    code, _, began, _ = go(file)
    assert (code, began) == (0, ["train 1", "collect 2", "train 2"])


def test_a_stage_that_goes_on_needs_only_what_is_left(go, write):
    file = write({"train": {}})
    go(file)
    measured(go, {"train": 7200})
    go(file, {"train": ["killed"]})
    document = go.found()
    document["stages"][0].update(spent=5400.0)
    write_json("outputs/x/experiment.json", document)
    assert go(file, until=datetime.now().astimezone() + timedelta(minutes=29))[2] == []
    assert go(file, until=datetime.now().astimezone() + timedelta(minutes=31))[2] == ["train 1"]


def test_what_runs_at_the_hour_is_stopped_in_good_order(go, write):
    def goes_on(folder, tick):
        while True:
            tick({})

    until = datetime.now().astimezone() + timedelta(seconds=0.3)
    code, entries, began, said = go(write(LOOP, generations=2), {"collect": [goes_on]}, until=until, keep_going=True)
    assert (code, began) == (6, ["collect 1"])
    assert (entries["collect 1"]["state"], entries["train 1"]["state"]) == ("interrupted", "pending")
    assert (go.found()["state"], "has come (--until)" in go.found()["message"]) == ("paused", True)
    assert "has come (--until)" in Path("outputs/x/gen_001/01_collect", STOP_NOTE).read_text()
    assert "stopping: " in said


def test_waiting_for_a_retry_ends_at_the_hour_too(go, write):
    until = datetime.now().astimezone() + timedelta(seconds=0.3)
    file = write({"collect": {"retries": 1, "retry_delay": "1h"}})
    code, entries, _, _ = go(file, {"collect": ["killed"]}, until=until)
    assert (code, entries["collect 1"]["state"], go.found()["state"]) == (4, "killed", "killed")


ENDING = {**LOOP, "judge": {"generations": "last", "parameters": {"players": ["${train.policy}"]}}}


def test_a_chain_ends_early_when_it_says_so_and_what_runs_last_still_does(go, write):
    file = write(ENDING, generations=5, stop_when="${train.metrics.converged}")
    code, entries, began, said = go(file, metrics={"train": [{"converged": False}, {"converged": True}]})
    assert code == 0
    assert began == ["collect 1", "train 1", "collect 2", "train 2", "judge 5"]
    why = "generation 2 of 5 was the last: ${train.metrics.converged} holds (stop_when)"
    skipped = [f"{stage} {generation}" for generation in (3, 4, 5) for stage in ("collect", "train")]
    assert [name for name, entry in entries.items() if entry["state"] == "skipped"] == skipped
    assert {entries[name]["why"] for name in skipped} == {why}
    assert (go.found()["state"], go.found()["message"]) == ("finished", why) and why in said
    assert "${train.policy}@2" in Path("outputs/x/gen_005/03_judge/leaderboard").read_text()  # the last that ran
    again = go(file)
    assert (again[0], again[2]) == (0, [])  # what is finished says the same again


def test_a_chain_that_need_not_end_goes_on_and_can_be_told_not_to_end(go, write):
    file = write(ENDING, generations=2, stop_when="${train.metrics.converged}")
    converged = {"train": [{"converged": True}, {"converged": True}]}
    assert go(file, metrics={"train": [{"converged": False}] * 2})[2][-2:] == ["train 2", "judge 2"]
    assert go.found()["message"] == ""
    assert go(file, metrics=converged, force=("train",))[2] == ["train 1", "judge 2"]
    _, entries, began, _ = go(file, overrides=["stop_when=null"])
    assert (entries["train 2"]["state"], began) == ("up to date", ["judge 2"])  # as the first run had made it


def test_a_failed_stage_ends_no_chain_early(go, write):
    file = write(ENDING, generations=2, stop_when="${train.metrics.converged}")
    code, entries, began, _ = go(file, {"train": ["failed"]}, metrics={"train": [{"converged": True}]}, keep_going=True)
    assert (code, began) == (1, ["collect 1", "train 1"])
    assert entries["collect 2"]["state"] == "blocked"


@pytest.mark.parametrize(
    ("stop_when", "problem"),
    [
        ("${trian.metrics.converged}", "no stage 'trian'; did you mean 'train'?"),
        ("${train.policy}", "expected a figure of a generation, ${train.metrics.<name>}"),
        ("${previous.train.metrics.converged}", "expected a figure of a generation"),
        ("true", "expected a figure of a stage, such as"),
    ],
)
def test_what_a_chain_may_end_by_is_checked_before_it_begins(write, stop_when, problem):
    with pytest.raises(ValueError, match="stop_when: ") as error:
        load_experiment(write(ENDING, generations=2, stop_when=stop_when))
    assert problem in str(error.value)


def test_a_figure_that_is_neither_true_nor_false_is_named(go, write):
    file = write(ENDING, generations=2, stop_when="${train.metrics.converged}")
    with pytest.raises(ValueError, match="stop_when: "):
        go(file, metrics={"train": [{"converged": "perhaps"}]})
    with pytest.raises(ValueError, match=r"stop_when: .* train finished with no 'converged'"):
        go(file, metrics={"train": [{}]}, force=("train",))


def test_iterations_extend_a_finished_run(go, write):
    file = write(LOOP, generations=1)
    assert go(file)[2] == ["collect 1", "train 1", "judge 1"]
    code, entries, began, _ = go(file, overrides=with_iterations([], 3))
    assert (code, began[0], len(began)) == (0, "collect 2", 6)
    assert entries["train 1"]["state"] == "up to date" and entries["train 3"]["state"] == "finished"
    assert with_iterations(["a.b=1"], None) == ["a.b=1"]
    assert with_iterations(["generations=3", "a.b=1"], 3) == ["a.b=1", "generations=3"]
    with pytest.raises(ValueError, match="--iterations 4 and generations=3: expected one of them"):
        with_iterations(["generations=3"], 4)
