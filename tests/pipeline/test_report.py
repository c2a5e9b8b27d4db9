import base64
import io

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from workbench.pipeline.figures import gathered, interval_table, tiles, words
from workbench.pipeline.files import write_json
from workbench.pipeline.index import read_experiment, write_index
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.outputs import Outputs, clean, shortened
from workbench.pipeline.page import loads_from_outside, page
from workbench.pipeline.report import render, write_report
from workbench.pipeline.text import duration, figure, parse_duration
from workbench.pipeline.widgets import lay_under

EVIL = """
<script>alert(1)</script><style>body { background: url(http://x/y) }</style>
<img src="http://evil.example/a.png" onerror="alert(2)"><img src="data:image/png;base64,AAAA" alt="kept">
<a href="javascript:alert(3)" onclick="alert(4)">a</a><a href="https://example.org">b</a>
<iframe src="//evil.example"></iframe><div style="background-image: url(https://evil.example)">c</div>
<div style="color: red; position: fixed">d</div><svg><script>alert(5)</script></svg><link rel="stylesheet" href="http://x">
<form action="http://x"><input></form><object data="http://x"></object><math><mi xlink:href="x">e</mi></math>
"""


def picture(width=40, height=20):
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 128, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def notebook(*outputs):
    parameters = new_code_cell("games: int = 3  # how <many>", metadata={"tags": ["parameters"]})
    return new_notebook(
        cells=[new_markdown_cell("# Title & more\n\nWhy."), parameters, new_code_cell("show()", outputs=list(outputs))]
    )


def test_html_of_others_is_cleaned():
    html = clean(EVIL)
    for gone in (
        "script",
        "alert",
        "http://",
        "evil",
        "javascript",
        "iframe",
        "position",
        "url(",
        "<style",
        "<form",
        "svg",
    ):
        assert gone not in html, gone
    for kept in ('alt="kept"', "https://example.org", "color: red", ">c</div>"):
        assert kept in html, kept


@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain"])
def test_a_page_asks_for_nothing_and_runs_nothing(kind):
    shown = render(notebook(new_output("display_data", data={kind: EVIL}), new_output("stream", text=EVIL)), {}, {}, {})
    assert loads_from_outside(shown) == []
    assert "<script" not in shown
    assert "<title>Title &amp; more</title>" in shown


@pytest.mark.parametrize(
    "html",
    [
        '<script src="x.js">',
        '<img src="http://a/b.png">',
        "<img src=//a/b.png>",
        '<div style="background: url(https://a)">',
        '<link href="x">',
        "<style>@import 'x'</style>",
        '<p onclick="f()">',
        '<a href=" javascript:f()">',
    ],
)
def test_what_would_be_fetched_is_found(html):
    assert len(loads_from_outside(page("t", html))) == 1
    assert (
        loads_from_outside(
            page(
                "t",
                '<a href="https://a.org">a</a><img src="data:image/png;base64,AA=="><img src="a/thumbnail.png"><p>url(http://a) @import</p>',
            )
        )
        == []
    )


def test_figures_are_inside_the_page():
    shown = render(
        notebook(new_output("display_data", data={"image/png": picture(), "text/plain": "<Figure>"})), {}, {}, {}
    )
    assert f"data:image/png;base64,{picture()}" in shown
    assert "&lt;Figure&gt;" not in shown


def drawn(seed):
    """A figure such as matplotlib draws, of 130 KB or so, base64."""
    noise = np.random.default_rng(seed).integers(0, 255, (200, 220, 3), np.uint8)
    image = np.full((320, 400, 3), 255, np.uint8)
    image[100:300, 100:320] = noise
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_report_of_a_long_run_stays_small():
    """13 MB of outputs: 100 figures, 100,000 lines, a table of 200,000 rows, a long program and a long story."""
    figures = [drawn(seed) for seed in range(4)]
    outputs = [new_output("display_data", data={"image/png": figures[index % 4]}) for index in range(100)]
    table = "<table>" + "<tr><td>x</td></tr>" * 200_000 + "</table>"
    outputs += [new_output("display_data", data={"text/html": table, "text/plain": "a table"})]
    outputs += [
        new_output("stream", text="".join(f"cell {cell} line {line}\n" for line in range(2000))) for cell in range(50)
    ]
    outputs += [new_output("stream", text="x" * 3_000_000)]
    found = notebook(*outputs)
    found.cells += [new_code_cell("y = 1\n" * 100_000), new_markdown_cell("word " * 400_000)]
    assert len(nbformat.writes(found)) > 13_000_000
    shown = render(found, {}, {}, {})
    assert len(shown) < 5_000_000
    assert shown.count("data:image/webp") == 100
    assert shown.count("reduced for this page; notebook.ipynb has it whole") == 100
    assert shown.count("1,760 lines left out; notebook.ipynb has them") == 50
    assert all(f"cell {cell} line 1999" in shown for cell in range(50))
    assert "a table" in shown
    assert "xxx ...</pre>" in shown and "word  ...</pre>" in shown  # endless lines are cut
    assert "99,760 lines left out" in shown


def test_figures_that_fit_are_as_they_were():
    shown = render(
        notebook(*[new_output("display_data", data={"image/png": drawn(seed)}) for seed in range(3)]), {}, {}, {}
    )
    assert all(drawn(seed) in shown for seed in range(3))
    broken = base64.b64encode(b"no picture" * 500_000).decode()
    shown = render(notebook(new_output("display_data", data={"image/png": broken})), {}, {}, {})
    assert "a figure of 4,882 KB is left out of this page" in shown


def test_long_text_keeps_its_ends():
    assert shortened("a\n" * 240).count("a") == 240
    lines = shortened("\n".join(map(str, range(1000)))).splitlines()
    assert (lines[0], lines[119], lines[121], lines[-1]) == ("0", "119", "880", "999")
    assert lines[120].startswith("... 760 lines left out")
    assert "... 7 characters left out; notebook.ipynb has them ..." in shortened("abc\ndefghij\n", 4)
    assert shortened("\x1b[31mred\x1b[0m") == "red"


WIDGETS = {
    "box": ("HBoxModel", {"children": ["IPY_MODEL_bar", "IPY_MODEL_label", "IPY_MODEL_box", "IPY_MODEL_gone"]}),
    "bar": (
        "FloatProgressModel",
        {"value": 5.0, "min": 0.0, "max": 20.0, "description": "<b>", "bar_style": "success"},
    ),
    "label": ("HTMLModel", {"value": "<b>5/20</b><script>alert(1)</script>"}),
    "slider": ("IntRangeSliderModel", {"value": [1, 3], "min": 0, "max": 4}),
    "menu": ("DropdownModel", {"_options_labels": ["a", "<c>"], "index": 1, "description": "which"}),
    "many": ("SelectMultipleModel", {"_options_labels": ["a", "b", "c"], "index": [0, 2]}),
    "tick": ("CheckboxModel", {"value": True, "description": "on"}),
    "text": ("TextModel", {"value": "<t>"}),
    "tabs": ("TabModel", {"children": ["IPY_MODEL_tick"], "titles": ["First"]}),
    "area": ("OutputModel", {"outputs": [{"output_type": "stream", "name": "stdout", "text": "said <s>"}]}),
    "strange": ("Strange<Model>", {}),
    "hidden": ("TextModel", {"value": "secret", "layout": "IPY_MODEL_layout"}),
    "layout": ("LayoutModel", {"display": "none"}),
}


def with_widgets(*ids):
    state = {id: {"model_name": name, "state": state} for id, (name, state) in WIDGETS.items()}
    view = "application/vnd.jupyter.widget-view+json"
    found = notebook(
        *[new_output("display_data", data={view: {"model_id": id}, "text/plain": f"Plain({id})"}) for id in ids]
    )
    found.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    return found


@pytest.mark.parametrize(
    ("widget", "shown"),
    [
        ("box", ["width: 25%", "&lt;b&gt;", "<b>5/20</b>"]),
        ("slider", ["width: 75%", "[1, 3]"]),
        ("menu", ["which", "&lt;c&gt;"]),
        ("many", [">a, c<"]),
        ("tick", ["☑ on"]),
        ("text", ["&lt;t&gt;"]),
        ("tabs", ["First", "☑ on"]),
        ("area", ["said &lt;s&gt;"]),
        ("strange", ["Strange&lt;Model&gt;"]),
        ("hidden", ["Plain(hidden)"]),
        ("gone", ["Plain(gone)"]),
    ],
)
def test_widgets_are_drawn_as_they_stood_last(widget, shown):
    html = render(with_widgets(widget), {}, {}, {})
    for said in shown:
        assert said in html, said
    assert "alert" not in html
    assert loads_from_outside(html) == []


def test_widgets_have_a_picture_under_them_for_where_they_do_not_run():
    found = with_widgets("bar", "gone")
    assert lay_under(found, Outputs(found).widgets) == 1
    assert "width: 25%" in found.cells[2].outputs[0].data["text/html"]
    assert "text/html" not in found.cells[2].outputs[1].data
    nbformat.validate(found)
    assert lay_under(found, Outputs(found).widgets) == 0


def test_metrics_are_brought_together():
    metrics = {
        "games": 40, "win_rate": 0.7, "low": 0.6, "high": 0.8,
        "rating/a": [1530.0, 1500.0, 1560.0], "rating/b": [1470.0, 1440.0, 1500.0],
        "elo": {"x": {"rating": 1, "low": 0, "high": 2}}, "wrong": [3.0, 1.0, 2.0], "charts/SPS": 9.0,
    }  # fmt: skip
    found = gathered(metrics)
    assert found["win_rate"] == (0.7, 0.6, 0.8)
    assert found["rating"] == {"a": (1530.0, 1500.0, 1560.0), "b": (1470.0, 1440.0, 1500.0)}
    assert found["elo"] == {"x": (1, 0, 2)}
    assert found["wrong"] == [3.0, 1.0, 2.0]
    assert found["charts/SPS"] == 9.0
    assert "low" not in found
    assert gathered({"low": 1, "high": 2}) == {"low": 1, "high": 2}
    assert words((1826.4, 1640.1, 1916.3)) == "1,826 [1,640, 1,916]"
    assert words((0.71234, 0.6, 0.8)) == "0.712 [0.6, 0.8]"
    assert tiles(metrics).index(">a<") < tiles(metrics).index(">b<")
    assert 'cx="6.0"' in interval_table({"a<b>": (1.0, 1.0, 1.0)})
    assert "a&lt;b&gt;" in interval_table({"a<b>": (1.0, 1.0, 1.0)})


def stage_files(folder, state="finished", **status):
    folder.mkdir(parents=True)
    output = new_output("display_data", data={"image/png": picture(1600, 900)})
    nbformat.write(notebook(output), folder / "notebook.ipynb")
    write_json(folder / "status.json", {"state": state, "message": "", **status})
    write_json(
        folder / "request.json",
        {
            "stage": "judge",
            "experiment": "x",
            "generation": 1,
            "experiment_folder": "../..",
            "parameters": {"games": 5},
        },
    )
    if state == "finished":
        provenance = {
            "wall_seconds": 65.0,
            "seed": 3,
            "packages": {"numpy": "2"},
            "git": {"sha": "a" * 40, "dirty": "b" * 16},
        }
        artifacts = {"policy": {"path": "gen_001/judge/p", "hash": "h1"}, "all": [{"path": "q", "hash": "h2"}]}
        write_json(
            folder / "result.json",
            {"metrics": {"win_rate": [0.7, 0.6, 0.8]}, "artifacts": artifacts, "provenance": provenance},
        )


def test_a_report_says_what_was_asked_and_what_came_out(tmp_path):
    stage_files(tmp_path / "gen_001/judge", attempt=2)
    html = write_report(tmp_path / "gen_001/judge").read_text()
    for said in (
        "finished",
        "1 min 05 s",
        "attempt 2",
        "0.7 [0.6, 0.8]",
        "<b>5</b>",
        "how &lt;many&gt;",
        "gen_001/judge/p",
        "aaaaaaaaaaaa",
        "uncommitted",
        "numpy 2",
    ):
        assert said in html, said
    assert 'href="../../index.html"' in html
    with Image.open(tmp_path / "gen_001/judge/thumbnail.png") as thumbnail:
        assert thumbnail.size == (420, 236)


def experiment(tmp_path, **changes):
    entries = [
        {
            "chain": "",
            "generation": 1,
            "stage": "judge",
            "folder": "gen_001/judge",
            "state": "finished",
            "why": "first run",
            "seconds": 3.0,
        },
        {
            "chain": "",
            "generation": 2,
            "stage": "judge",
            "folder": "gen_002/judge",
            "state": "killed",
            "why": "first run",
            "seconds": 1.0,
            "error": "<gone>",
        },
        {
            "chain": "",
            "generation": 3,
            "stage": "judge",
            "folder": "gen_003/judge",
            "state": "pending",
            "why": "",
            "seconds": None,
        },
    ]
    found = {
        "name": "x",
        "file": "x.yaml",
        "overrides": ["a.b=<1>"],
        "state": "killed",
        "message": "",
        "started": "2026-11-20T04:00:00+00:00",
        "updated": "2026-11-20T05:00:00+00:00",
        "stages": entries,
    }
    write_json(tmp_path / "x/experiment.json", {**found, **changes})


def test_an_index_tells_what_ran_and_what_failed(tmp_path):
    stage_files(tmp_path / "x/gen_001/judge")
    write_report(tmp_path / "x/gen_001/judge")
    error = {"cell": 2, "error": "<gone>", "tail": "last <words>"}
    stage_files(
        tmp_path / "x/gen_002/judge",
        "killed",
        message="<gone>",
        error=error,
        cell={"index": 2, "of": 3, "title": "show()"},
    )
    experiment(tmp_path)
    html = write_index(tmp_path / "x").read_text()
    for said in (
        "1 of 3 stages done",
        "in cell 3 of 3",
        "last &lt;words&gt;",
        "&lt;gone&gt;",
        "a.b=&lt;1&gt;",
        "0.7 [0.6, 0.8]",
        'href="gen_001/judge/report.html"',
        "pending",
    ):
        assert said in html, said
    assert "<gone>" not in html
    assert loads_from_outside(html) == []
    overview = (tmp_path / "index.html").read_text()
    assert 'href="x/index.html"' in overview
    assert "&lt;gone&gt;" in overview


def test_an_index_of_a_dead_run_says_so(tmp_path):
    (tmp_path / "x").mkdir()
    experiment(tmp_path, state="running", process={"pid": 2**22 + 1, "started": 0.0})
    assert read_experiment(tmp_path / "x")["state"] == "died"
    assert "its runner ended without a word" in write_index(tmp_path / "x").read_text()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (4.21, "4.2 s"),
        (59, "59 s"),
        (65, "1 min 05 s"),
        (3600 * 2 + 600, "2 h 10 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_durations_for_people(seconds, said):
    assert duration(seconds) == said


def test_durations_by_people():
    assert [parse_duration(text) for text in ("90", "90s", "30m", "1h30m", "2d", "0.5h", "5 min")] == [
        90,
        90,
        1800,
        5400,
        172800,
        1800,
        300,
    ]
    for wrong in ("soon", "", "-3", "0", "1h2"):
        if wrong == "1h2":
            assert parse_duration(wrong) == 3602
            continue
        with pytest.raises(ValueError, match="expected a duration"):
            parse_duration(wrong)


def test_numbers_for_people():
    assert [figure(value) for value in (3, 12345, 0.712345, 1234.56, 2.0, True, "x")] == [
        "3",
        "12,345",
        "0.7123",
        "1,234.6",
        "2",
        "True",
        "x",
    ]


def test_the_head_of_a_report_stays_small_too():
    many = {f"metric {number}": number for number in range(5000)}
    table = {f"rating/{number}": [number, number - 1, number + 1] for number in range(5000)}
    artifacts = {"all": [{"path": "p" * 100, "hash": "h"} for _ in range(5000)]}
    origin = {"inputs": {f"i{number}": "h" for number in range(5000)}, "parents": ["x"] * 5000}
    result = {"metrics": {**many, **table}, "artifacts": artifacts, "provenance": origin}
    shown = render(notebook(), {}, result, {"parameters": {"games": "x" * 1_000_000}})
    assert len(shown) < 400_000
    for said in (
        "and 4952 more; result.json has them",
        "and 4940 more; result.json has them",
        "(1,000,002 characters)",
    ):
        assert said in shown, said
