"""What differs between two runs, by hand; and a replay that finds what was altered."""

import io
import json
import subprocess
import sys

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from rich.console import Console

from workbench.pipeline.alike import differing_files
from workbench.pipeline.diff import compare, comparison, metrics, notebook_diff
from workbench.pipeline.diff_views import as_page, in_terminal
from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.page import loads_from_outside
from workbench.pipeline.provenance import Stopwatch
from workbench.pipeline.rerun import _place


def make_run(
    folder, *, code="train(3)", parameters=None, result=None, packages=None, sha="a" * 40, library="1", inputs="i1"
):
    """A stage's folder as a run leaves it."""
    parameters = parameters or {"games": 5, "policy": f"outputs/{folder.parts[-3]}/gen_001/p", "output_dir": ""}
    fingerprint = {
        "notebook": "n",
        "parameters": {},
        "inputs": {"${collect.dataset}@1": inputs},
        "code": {"a.py": library, "b.py": "1"},
    }
    request = {
        "experiment": folder.parts[-3],
        "experiment_folder": "../..",
        "parameters": parameters,
        "fingerprint": fingerprint,
    }
    provenance = {
        "packages": {"numpy": "2.0", **(packages or {})}, "python": "3.11.7", "device": "cpu", "seed": 0,
        "git": {"sha": sha, "dirty": None}, "wall_seconds": 3.0, "cpu_seconds": 5.0,
    }  # fmt: skip
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("games: int = 3", metadata={"tags": ["parameters"]}),
        new_code_cell(f"games = {parameters['games']}", metadata={"tags": ["injected-parameters"]}),
        new_code_cell(code, outputs=[new_output("stream", text=folder.name)]),
    ]
    folder.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata={"workbench": {"request": request}}), folder / "notebook.ipynb")
    write_json(folder / "request.json", request)
    write_json(folder / "status.json", {"state": "finished", "message": ""})
    result = {"metrics": {"win_rate": [0.5, 0.4, 0.6]}, "artifacts": {}, **(result or {})}
    write_json(folder / "result.json", {**result, "fingerprint": fingerprint, "provenance": provenance})
    return folder


def sections(found):
    return {section.title: section for section in found.sections}


def names(section):
    return [row.name for row in section.rows if row.differs]


def test_two_equal_runs_have_no_differences(tmp_path):
    found = compare(make_run(tmp_path / "x/gen_001/a"), make_run(tmp_path / "y/gen_001/a"))
    assert not found.differs  # that they lie in different experiments is no difference
    assert "no differences" in as_page(found)


def test_each_kind_of_difference_is_found(tmp_path):
    first = make_run(tmp_path / "x/gen_001/a", result={"metrics": {"win_rate": [0.5, 0.4, 0.6], "games": 4, "old": 1}})
    second = make_run(
        tmp_path / "x/gen_002/a", code="train(4)", parameters={"games": 6, "new": [1], "policy": "other"},
        packages={"numpy": "2.1", "torch": "2"}, sha="b" * 40, library="2", inputs="i2",
        result={"metrics": {"win_rate": [0.9, 0.8, 0.95], "games": 4, "games_per_second": 7.0}},
    )  # fmt: skip
    found = sections(compare(first, second))
    assert names(found["parameters"]) == ["games", "policy", "new"]
    assert [line for line in found["code of the notebook"].text if line[:1] in "+-"][2:] == ["-train(3)", "+train(4)"]
    assert names(found["library"]) == ["git commit", "a.py"]
    assert found["library"].equal == 2
    assert names(found["inputs"]) == ["${collect.dataset}"]
    assert names(found["packages and machine"]) == ["package numpy", "package torch"]
    rows = {row.name: (row.first, row.second, row.note) for row in found["outcome"].rows}
    assert rows["win_rate"] == ("0.5 [0.4, 0.6]", "0.9 [0.8, 0.95]", "intervals apart")
    assert rows["games"] == ("4", "4", "equal")
    assert rows["old"] == ("1", "–", "only one has it")
    assert rows["took"] == ("3.0 s", "3.0 s", "a matter of time")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((1.0, 0.5, 1.5), (1.4, 1.2, 1.6), "intervals overlap"),
        ((1.0, 0.5, 1.1), (1.4, 1.2, 1.6), "intervals apart"),
        (2.0, 3.0, "+50%"),
        (-2.0, -3.0, "-50%"),
        (0, 3, "+3"),
        ("a", "b", "differs"),
        (1, None, "only one has it"),
        ({"a": 1}, {"a": 1}, "equal"),
    ],
)
def test_metrics_are_compared(first, second, said):
    assert comparison("x", first, second) == said


def test_speeds_differ_by_themselves():
    (row,) = metrics({"games_per_second": 10}, {"games_per_second": 12})
    assert row.note == "+20%, a matter of time"
    assert not row.differs


def test_tables_of_intervals_are_compared_line_by_line():
    rows = metrics({"rating/a": [1, 0, 2], "rating/b": [1, 0, 2]}, {"rating/a": [1, 0, 2], "rating/b": [5, 4, 6]})
    assert [(row.name, row.note) for row in rows] == [("rating/a", "equal"), ("rating/b", "intervals apart")]


def test_outputs_and_injected_values_are_no_code(tmp_path):
    one, other = make_run(tmp_path / "x/g/a"), make_run(tmp_path / "x/h/a", parameters={"games": 99})
    read = [nbformat.read(folder / "notebook.ipynb", as_version=4) for folder in (one, other)]
    assert notebook_diff(*read) == ()


def test_whole_experiments_are_compared_stage_by_stage(tmp_path):
    for name, stages in (("x", ("a", "b", "only")), ("y", ("a", "b"))):
        for stage in stages:
            make_run(tmp_path / name / "gen_001" / stage, code="changed()" if (name, stage) == ("y", "b") else "same()")
        entries = [
            {"chain": "", "generation": 1, "stage": stage, "folder": f"gen_001/{stage}", "state": "finished"}
            for stage in (*stages, "pending")
        ]
        about = {"name": name, "file": "x.yaml", "overrides": [f"name={name}"], "state": "finished", "stages": entries}
        write_json(tmp_path / name / "experiment.json", about)
    found = compare(tmp_path / "x", tmp_path / "y")
    assert [title for title, _ in found.parts] == ["generation 1 · b"]
    assert names(sections(found)["the experiment"]) == ["overrides"]
    assert names(sections(found)["stages that only one has"]) == ["generation 1 · only"]
    console = Console(record=True, width=120, file=io.StringIO())
    for piece in in_terminal(found):
        console.print(piece)
    said = console.export_text()
    assert "+changed()" in said and "generation 1 · b" in said
    with pytest.raises(ValueError, match="compare two of a kind"):
        compare(tmp_path / "x", tmp_path / "x/gen_001/a")
    with pytest.raises(ValueError, match="no stage has run there"):
        compare(tmp_path, tmp_path)


def test_a_page_of_differences_escapes_all(tmp_path):
    evil = "<script>alert('&')</script>"
    first = make_run(tmp_path / "x/gen_001/a")
    second = make_run(tmp_path / "x/gen_002/a", code=evil, parameters={"games": evil, evil: 1}, packages={evil: evil},
                      result={"metrics": {evil: evil}})  # fmt: skip
    html = as_page(compare(first, second))
    assert "<script" not in html
    assert loads_from_outside(html) == []


def test_artifacts_that_differ_in_times_only_are_alike(tmp_path):
    for name, moment, outcome in (
        ("a", "2026-01-01T10:00:00", 1),
        ("b", "2026-02-02T11:11:11", 1),
        ("c", "2026-02-02T11:11:11", 2),
    ):
        folder = tmp_path / name
        folder.mkdir()
        clock = {"started": moment, "seconds": float(len(moment) + ord(name)), "log": f"begun {moment}"}
        frame = pd.DataFrame([{"match": "m", "outcome": outcome, **clock, "file": f"x_{moment[5:7]}-01-2026-10:00:00"}])
        frame.to_csv(folder / "matches.csv", index=False)
        frame.to_parquet(folder / f"games-{moment[5:7]}-01-2026-100000-1.parquet")
        (folder / "stats.json").write_text(json.dumps({"input_dir": f"/somewhere/{name}/data", **clock, "n": outcome}))
        (folder / "raw.bin").write_bytes(bytes([outcome]))
    assert differing_files(tmp_path / "a", tmp_path / "b") == []
    assert differing_files(tmp_path / "a", tmp_path / "c") == [
        "games-<time>-1.parquet", "matches.csv", "raw.bin", "stats.json",
    ]  # fmt: skip
    assert differing_files(tmp_path / "a", tmp_path / "gone") is None
    assert differing_files(tmp_path / "a/raw.bin", tmp_path / "c/raw.bin") == ["raw.bin"]
    (tmp_path / "b/more.txt").write_text("x")
    assert differing_files(tmp_path / "a", tmp_path / "b") == ["more.txt"]


def test_a_replay_finds_what_was_altered(write, workbench, project):
    """A metric of the first run is altered, and a package is said to have been another version."""
    file = write({"collect": {"parameters": {"games": 3}}})
    assert workbench("run", file).wait(60) == 0
    folder = project / "outputs/x/gen_001/01_collect"
    again = workbench("rerun", folder)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    assert "the results agree" in said

    result = read_json(folder / "result.json")
    (name,) = result["metrics"]
    result["metrics"][name] = 77
    result["provenance"]["packages"]["numpy"] = "0.1"
    write_json(folder / "result.json", result)
    again = workbench("rerun", folder)
    said = again.communicate()[0]
    assert again.returncode == 8, said
    assert "package numpy: 0.1 then" in said
    assert f"{name}: 77 then, 3 now" in said
    assert "the results do not agree" in said

    compared = workbench("diff", folder, project / "outputs/reruns/x-001-collect", "--html", project / "d.html")
    said = compared.communicate()[0]
    assert compared.returncode == 1, said
    assert "package numpy" in said
    assert "package numpy" in (project / "d.html").read_text()


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"experiment": "x", "generation": 1, "stage": "a"}, "x-001-a"),
        ({"experiment": "x", "chain": "melee", "generation": 12, "stage": "a"}, "x-melee-012-a"),
        ({"experiment": "../../etc", "generation": 1, "stage": "/a b"}, "--..-etc-001--a-b"),
        ({"experiment": "..", "generation": 1, "stage": "x" * 200}, ("--001-" + "x" * 200)[:120]),
    ],
)
def test_a_replay_stays_in_its_folder(tmp_path, request_, name):
    assert _place(tmp_path, tmp_path / "x/a.ipynb", request_) == tmp_path / "reruns" / name


def test_a_replay_of_a_replay_leaves_that_alone(tmp_path):
    replayed = tmp_path / "reruns/x-001-a/notebook.ipynb"
    assert _place(tmp_path, replayed, {"experiment": "x", "generation": 1, "stage": "a"}).name == "x-001-a-again"


def test_processor_time_of_children_counts_while_they_run():
    watch = Stopwatch()
    child = subprocess.Popen(
        [sys.executable, "-c", "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True)\ntime.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    try:
        child.stdout.readline()
        assert watch.read()["cpu_seconds"] >= 0.3  # the clock of processes ticks coarsely
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert watch.read()["cpu_seconds"] >= 0.3
