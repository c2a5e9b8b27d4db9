"""Whether a stage runs, and from where: kept results, altered inputs, damaged work; with stages that are only pretended."""

import os
from pathlib import Path

import numpy as np
import pytest

from workbench.pipeline.files import hash_path, read_json, write_json
from workbench.pipeline.inputs import Inputs
from workbench.pipeline.stage import Stage
from workbench.policies.storage import write_pair

LOOP = {
    "collect": {"parameters": {"policy": "${previous.train.policy}"}, "initial": {"policy": "random"}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
    "judge": {},
}


def test_results_of_older_code_are_kept_when_asked_to(go, write):
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


def test_an_input_that_changes_while_a_stage_runs_spoils_its_result(go, write):
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


def test_what_a_cut_off_stage_had_made_is_looked_at(go, write):
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
def test_a_stage_begins_again_where_what_it_would_go_on_from_is_damaged(go, write, name):
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


def test_a_truncated_checkpoint_is_not_gone_on_from(go, write):
    file = write(LOOP)
    go(file, {"collect": ["killed"]})
    folder = Path("outputs/x/gen_001/01_collect/checkpoint")
    write_pair(folder, "checkpoint", {"weights": np.zeros(300)}, {})
    os.truncate(folder / "checkpoint.safetensors", 200)
    assert "its checkpoint is damaged" in go(file, {"collect": ["killed"]})[1]["collect 1"]["why"]
    write_pair(folder, "checkpoint", {"weights": np.zeros(300)}, {})
    assert "going on from its checkpoint" in go(file)[1]["collect 1"]["why"]


def test_half_a_first_checkpoint_is_none(go, write):
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


def test_a_damaged_experiment_file_is_written_anew(go, write):
    file = write(LOOP)
    go(file)
    Path("outputs/x/experiment.json").write_text("{")
    code, _, began, said = go(file)
    assert (code, began) == (0, [])
    assert "experiment.json is damaged; what the stages themselves have left is looked at" in said


def test_a_stage_does_not_begin_with_an_input_that_was_altered(go, write):
    stages = {**LOOP, "late": {"notebook": "02_train", "parameters": {"dataset": "${collect.dataset}"}}}
    ends = {"judge": [lambda folder, tick: Path("outputs/x/gen_001/01_collect/dataset").write_text("x") and "finished"]}
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
