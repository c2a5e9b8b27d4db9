"""No text of anybody's becomes part of a page: whatever stands in names and values, the page has the tags it has with plain words."""

import pickle
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.pipeline.comparison_page import write_comparison
from workbench.pipeline.diff import compare
from workbench.pipeline.diff_views import as_page
from workbench.pipeline.files import write_json
from workbench.pipeline.index import write_index
from workbench.pipeline.notebook_io import nbformat, read_notebook
from workbench.pipeline.overview import write_overview
from workbench.pipeline.page import loads_from_outside
from workbench.pipeline.report import write_report
from workbench.pipeline.share import share
from workbench.pipeline.summary import summary_of

PIECES = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style>", "</title>", "</pre>", "</a>", "<!--", "-->", "]]>",
    '"', "'", '" onclick="alert(1)', "' onclick='alert(1)", "&", "&lt;", "<", ">", "`", "javascript:alert(1)", "\x00", "\x07", "\x1b[31m",
    "\u202e", "\ufeff", "é", "😀", "\\", "%3Cscript%3E", "${x}", "{", "url(http://x)", "http://evil.example", "</svg>", "<svg onload=alert(1)>",
)  # fmt: skip
NUL = "\x00"  # which no program may contain
attacks = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)


class Words:
    """Gives a text for each place that one stands in: of an attack, or plain; no two are the same."""

    def __init__(self, attack=""):
        self.attack, self.count = attack, 0

    def __call__(self, start=""):
        self.count += 1
        return f"{start}w{self.count}-{self.attack}"

    def file(self):
        """A text that a file may be called."""
        return self().replace("/", "-").replace("\x00", "-")[:100]


class Shape(HTMLParser):
    """A page's tags with the names of their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(name for name, _ in attributes)))

    def handle_endtag(self, tag):
        self.found.append(("/" + tag,))

    def handle_comment(self, data):
        self.found.append(("comment",))


def shape(html):
    reader = Shape()
    reader.feed(html)
    reader.close()
    return reader.found


def make_stage(folder, words, state):
    policy = f"{folder.name}/policy"
    metrics = {
        words("loss "): 1.0,
        "text": words(),
        "win_rate": [0.5, 0.4, 0.6],
        f"rating/{words()}": [1, 0, 2],
        words("rating/"): [2, 1, 3],
    }
    artifacts = {
        words(): {"path": policy, "hash": words()},
        "several": [{"path": words("p/"), "hash": words()}],
        "by": {words(): {"path": policy, "hash": "h"}},
    }
    origin = {
        "packages": {words(): words()}, "python": words(), "device": words(), "inputs": {words(): words()}, "parents": [words()],
        "git": {"sha": words(), "dirty": words()}, "code": words(), "wall_seconds": 1.0, "notebook": words(),
    }  # fmt: skip
    fingerprint = {"code": {words(): words()}, "inputs": {words(): words()}}
    write_json(
        folder / "result.json",
        {"metrics": metrics, "artifacts": artifacts, "provenance": origin, "fingerprint": fingerprint},
    )
    request = {
        "stage": words(), "experiment": words(), "chain": words(), "generation": 1, "experiment_folder": "..",
        "parameters": {"games": words(), words(): [words()], "policy": words()}, "inputs": {f"${{{words()}.p}}@1": "h"}, "fingerprint": fingerprint,
    }  # fmt: skip
    write_json(folder / "request.json", request)
    cell = {"index": 0, "of": 1, "title": words()}
    status = {"state": state, "message": words(), "cell": cell, "error": {"tail": words()}, "updated": words()}
    write_json(folder / "status.json", status)
    write_json(
        folder.parent / policy / "policy.json", {"id": words(), "lineage": {"parent": words(), "trained_by": words()}}
    )
    outputs = [
        new_output("stream", text=words()),
        new_output("error", ename=words(), evalue=words(), traceback=[words()]),
        new_output("display_data", data={"text/plain": words()}),
    ]
    cells = [
        new_code_cell(
            f"games: int = 3  # {words().splitlines()[0].replace(NUL, '-')}", metadata={"tags": ["parameters"]}
        ),
        new_code_cell("show()", outputs=outputs),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"workbench": {"request": request}}), folder / "notebook.ipynb")


def make_experiment(folder, words):
    entries = []
    for generation, state in ((1, "finished"), (2, "finished"), (3, "failed")):
        name = words.file()
        make_stage(folder / name, words, state)
        entries.append(
            {"chain": "c", "generation": generation, "stage": "s", "folder": name, "state": state, "why": words(), "error": words(),
             "seconds": 1.0, "started": words(), "tries": [{"state": words(), "error": words()}]}
        )  # fmt: skip
    about = {key: words() for key in ("name", "description", "file", "message", "started", "updated")}
    write_json(folder / "experiment.json", {**about, "overrides": [words()], "state": "failed", "stages": entries})
    return [folder / entry["folder"] for entry in entries]


def pages(words):
    """Every kind of page, with the words in all places that take some."""
    with tempfile.TemporaryDirectory() as top:
        outputs = Path(top)
        experiment = outputs / words.file()
        stages = make_experiment(experiment, words)
        sweep = outputs / words.file()
        member = words.file()
        make_experiment(sweep / member, words)
        entry = {
            "name": member,
            "state": "finished",
            "message": words(),
            "values": {words(): words()},
            "why": words(),
            "seconds": 1.0,
        }
        about = {
            "name": words(),
            "file": words(),
            "state": "finished",
            "message": words(),
            "updated": words(),
            "started": words(),
            "options": [words()],
        }
        axes = [{"key": words(), "values": [words()], "seed": False}]
        write_json(sweep / "sweep.json", {**about, "axes": axes, "combinations": [entry], "jobs": 1})
        write_json(
            outputs / "manual" / words.file() / "status.json",
            {"state": words(), "message": words(), "updated": words()},
        )
        yield "report", write_report(stages[0]).read_text()
        yield "failed report", write_report(stages[2]).read_text()
        yield "index", write_index(experiment).read_text()
        yield "comparison", write_comparison(sweep).read_text()
        yield "overview", write_overview(outputs).read_text()
        yield "diff", as_page(compare(stages[0], stages[1]))
        given = share(experiment, outputs / "given")
        yield "shared", (given / "index.html").read_text()


PLAIN = None


@settings(max_examples=10, deadline=None)
@given(attacks)
@example("".join(PIECES))
def test_attacks_change_no_page(attack):
    global PLAIN
    PLAIN = PLAIN or {name: shape(html) for name, html in pages(Words())}
    for name, html in pages(Words(attack)):
        assert shape(html) == PLAIN[name], name
        assert loads_from_outside(html) == [], name


@given(attacks)
@settings(max_examples=50, deadline=None)
def test_html_of_outputs_keeps_nothing_that_acts(attack):
    from workbench.pipeline.outputs import clean

    html = clean(f"<b title='{attack}' style='color: red; {attack}'>{attack}</b>{attack}")
    assert loads_from_outside(html) == []
    assert not {"script", "svg", "style", "iframe"} & {tag for tag, *_ in shape(html)}


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def test_reading_runs_of_others_unpickles_nothing(tmp_path):
    """A pickle in every file's place: each is refused or not looked into, and nothing in it runs."""
    for name in (
        "result.json",
        "request.json",
        "status.json",
        "metrics.jsonl",
        "notebook.ipynb",
        "thumbnail.png",
        "policy/policy.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    assert summary_of(tmp_path, tmp_path).trouble
    for read in (
        read_notebook,
        lambda path: compare(path.parent, path.parent),
        lambda path: share(path.parent, tmp_path / "out"),
    ):
        with pytest.raises(ValueError):
            read(tmp_path / "notebook.ipynb")


def test_no_module_of_the_pipeline_can_unpickle():
    import workbench.pipeline

    for source in Path(workbench.pipeline.__file__).parent.glob("*.py"):
        text = source.read_text()
        assert "import pickle" not in text and "weights_only=False" not in text and "allow_pickle=True" not in text, (
            source.name
        )
