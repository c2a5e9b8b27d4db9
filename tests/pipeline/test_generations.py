"""Whether it gets better, and where policies come from: by hand first."""

import json
import os

import pytest

from workbench.pipeline.drawing import sparkline, trend
from workbench.pipeline.files import write_json
from workbench.pipeline.generations import Series, changed_parameters, series_of, side_by_side, small_figures, verdict
from workbench.pipeline.index import write_index
from workbench.pipeline.lineage import lineage_of, picture
from workbench.pipeline.overview import write_overview
from workbench.pipeline.summary import Summary, flattened, last_values, summary_of


def entry(stage, generation):
    return {"stage": stage, "generation": generation, "folder": f"gen_{generation:03d}/{stage}", "chain": ""}


def test_last_values_are_means_of_losses_and_the_last_of_all_else(tmp_path):
    lines = [{"step": step, "losses/entropy": float(step), "elo": float(step), "time": 0.0} for step in range(100)]
    lines.insert(50, {"step": 50, "validation/loss": 7.0})
    text = "\n".join(map(json.dumps, lines)) + '\n{"step": 100, "elo": 55'
    (tmp_path / "metrics.jsonl").write_text(text)
    assert last_values(tmp_path / "metrics.jsonl") == {"losses/entropy": 94.5, "elo": 99.0, "validation/loss": 7.0}
    assert last_values(tmp_path / "none.jsonl") == {}


def test_only_the_end_of_a_large_file_is_read(tmp_path):
    line = json.dumps({"step": 1, "elo": 1.0, "filling": "x" * 200}) + "\n"
    (tmp_path / "metrics.jsonl").write_text(
        json.dumps({"first": 1.0}) + "\n" + line * 5000 + "not json\n" + json.dumps({"elo": None, "kl": 2}) + "\n"
    )
    assert last_values(tmp_path / "metrics.jsonl") == {"kl": 2, "elo": 1.0}


def test_artifacts_are_told_one_by_one():
    artifacts = {
        "a": {"path": "x", "hash": "h"},
        "b": [{"path": "y"}, {"path": "z"}],
        "c": {"d": {"path": "w"}},
        "odd": 3,
    }
    assert dict(flattened(artifacts)) == {"a": ("x", "h"), "b[0]": ("y", ""), "b[1]": ("z", ""), "c.d": ("w", "")}


def test_a_summary_is_read_again_when_a_file_has_changed(tmp_path):
    write_json(tmp_path / "result.json", {"metrics": {"win_rate": [0.5, 0.4, 0.6]}, "artifacts": "odd"})
    assert summary_of(tmp_path, tmp_path).metrics == {"win_rate": (0.5, 0.4, 0.6)}
    assert summary_of(tmp_path, tmp_path) is summary_of(tmp_path, tmp_path)
    write_json(tmp_path / "result.json", {"metrics": {"win_rate": 0.75}})
    assert summary_of(tmp_path, tmp_path).metrics == {"win_rate": 0.75}
    (tmp_path / "result.json").write_text("{")
    assert "not readable as JSON" in summary_of(tmp_path, tmp_path).trouble
    (tmp_path / "result.json").write_text("[1]")
    os.utime(tmp_path / "result.json", (1, 1))
    assert "expected a JSON object" in summary_of(tmp_path, tmp_path).trouble


def rated(table, **policies):
    known = {label: {"id": id_, "parent": None, "trained_by": "PPO"} for label, id_ in policies.items()}
    return Summary(metrics={"rating": table} if table else {}, policies=known)


def test_ratings_of_generations_are_compared_on_one_scale():
    entries = [entry(stage, generation) for generation in (1, 2) for stage in ("train", "rate")]
    summaries = {
        "gen_001/train": rated(None, policy="a"),
        "gen_001/rate": rated({"a": (1200.0, 1150.0, 1250.0)}),
        "gen_002/train": rated(None, policy="b"),
        "gen_002/rate": rated(
            {"a": (1000.0, 980.0, 1020.0), "b": (1100.0, 1080.0, 1120.0), "bot": (1050.0, 1040.0, 1060.0),
             "weak": (100.0, 90.0, 110.0)}
        ),
    }  # fmt: skip
    (series,) = [found for found in series_of(entries, summaries) if found.rank == 0]
    assert series.values == {1: (1000.0, 980.0, 1020.0), 2: (1100.0, 1080.0, 1120.0)}
    assert series.references == {"bot": 1050.0}  # one far away would press the figure flat
    assert verdict(series) == "better: intervals apart"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ((5.0, 4.0, 6.0), (7.0, 6.5, 8.0), "better: intervals apart"),
        ((5.0, 4.0, 6.0), (3.0, 2.0, 3.5), "worse: intervals apart"),
        ((5.0, 4.0, 6.0), (6.5, 5.5, 7.0), "not told apart: intervals overlap"),
    ],
)
def test_verdicts(first, last, said):
    assert verdict(Series("s", "rating", {1: first, 3: last}, comparable=True)) == said
    assert verdict(Series("s", "win_rate", {1: first, 3: last})) == ""  # against whom, it does not say


def test_what_was_run_otherwise_is_said_beside_the_figure():
    entries = [entry("collect", 1), entry("collect", 2)]
    then = {
        "policy": "outputs/x/gen_001/p",
        "name": "generation-1",
        "games": 5,
        "policies": ["g-1"],
        "opponents": ["a"],
    }
    now = {
        "policy": "outputs/x/gen_002/p",
        "name": "generation-2",
        "games": 6,
        "policies": ["g-1", "g-2"],
        "opponents": ["b"],
    }
    summaries = {
        "gen_001/collect": Summary(parameters=then, metrics={"win_rate": (0.9, 0.8, 1.0)}),
        "gen_002/collect": Summary(parameters=now, metrics={"win_rate": (0.2, 0.1, 0.3)}),
    }
    assert changed_parameters(entries, summaries) == {"collect": ["games", "opponents"]}
    html = small_figures(series_of(entries, summaries))
    assert "run with other games, opponents" in html
    assert "worse" not in html


def test_figures_that_say_the_same_are_drawn_once_and_few():
    entries = [entry("train", 1), entry("train", 2)]
    names = [f"loss {number}" for number in range(20)]
    summaries = {
        item["folder"]: Summary(
            metrics={"held-out loss": item["generation"], **{name: index * item["generation"] for index, name in enumerate(names)}},
            training={"validation/loss": item["generation"], "losses/entropy": 0.1, "charts/SPS": 9.0, "losses/approx_kl": 0.2},
        )
        for item in entries
    }  # fmt: skip
    found = series_of(entries, summaries)
    assert "charts/SPS" not in [series.name for series in found]
    html = small_figures(found)
    assert html.count("<figure>") == 8
    assert "losses/entropy" in html
    assert "losses/approx_kl" in html
    assert ("held-out loss" in html) + ("validation/loss" in html) == 1
    table = side_by_side(found, [1, 2])
    assert table.index("held-out loss") < table.index("loss 19") < table.index("losses/entropy")
    assert "mean of the last 10 updates" in table


def test_many_generations_show_the_first_and_the_last_and_all_behind_a_fold():
    generations = list(range(1, 31))
    table = side_by_side([Series("s", "elo", {one: one * 1.5 for one in generations})], generations)
    before, _, behind = table.partition("<details>")
    assert "generation 1<" in before and "generation 30<" in before and "generation 20<" not in before
    assert "generation 20<" in behind


def test_a_trend_places_its_points():
    svg = trend({1: (1.0, 0.0, 2.0), 2: 3.0}, {"<bot>": 1.5})
    assert "&lt;bot&gt;" in svg
    assert "generation 1: 1 [0, 2]" in svg and "generation 2: 3</title>" in svg
    assert svg.count("<circle") == 4
    assert trend({4: 2.0}).count("<circle") == 2  # one value, no range: still drawn
    assert sparkline({1: 1.0}, [1, 2]) == ""
    assert sparkline({1: 1.0, 3: 3.0}, [1, 2, 3]).count("<circle") == 1


LOOP = [entry(stage, generation) for generation in (1, 2) for stage in ("collect", "train", "rate")]


def loop():
    data = {"dataset": "gen_{}/collect/d"}
    made = {}
    for generation in (1, 2):
        policy = f"net-{generation}"
        first = generation == 1
        source = ("${previous.train.policy}@1",) if not first else ()
        start = {"policy": "bot/x" if first else "outputs/x/gen_1/train/p", "opponents": ["bot/y"]}
        made[f"gen_00{generation}/collect"] = Summary(
            artifacts={key: path.format(generation) for key, path in data.items()}, inputs=source, parameters=start
        )
        made[f"gen_00{generation}/train"] = Summary(
            artifacts={"policy": f"gen_{generation}/train/p", "start": f"gen_{generation}/train/s"},
            policies={
                "policy": {"id": policy, "parent": "net-1" if not first else None, "trained_by": "imitation"},
                "start": {"id": policy + "-start", "parent": None, "trained_by": None},
            },
            inputs=(f"${{collect.dataset}}@{generation}", *source),
        )
        made[f"gen_00{generation}/rate"] = Summary(
            artifacts={"ratings": "r"}, inputs=("${every.train.policy}@1", "${every.train.policy}@2")[:generation]
        )
    return made


def test_lineage_by_hand():
    found = lineage_of(LOOP, loop())
    first, second = ("train", 1, "policy"), ("train", 2, "policy")
    bot, one, two = ("", 1, "bot/x"), ("collect", 1, "dataset"), ("collect", 2, "dataset")
    assert set(found.nodes) == {first, second, bot, one, two}  # no ratings, no untrained starts
    assert set(found.edges) == {(one, first), (two, second), (first, second), (bot, one), (first, two)}
    assert found.nodes[second].title == "net-2"
    assert found.nodes[bot].kind == "outside"


PSRO = [entry(stage, generation) for generation in (1, 2) for stage in ("respond", "solve")]


def psro():
    """Two iterations: each response is trained against the mixture before, each mixture has it and the bot in it."""
    made = {}
    for number in (1, 2):
        response = {
            "id": f"r{number}",
            "parent": "r1" if number == 2 else None,
            "trained_by": "PPO",
            "against": f"m{number - 1}",
        }
        mixture = {"id": f"m{number}", "parent": None, "trained_by": None, "members": ["bot", f"r{number}"]}
        before = ("${previous.solve.mixture}@1", "${previous.solve.matches}@1", "${every.respond.responses}@1[0]")
        made[f"gen_00{number}/respond"] = Summary(
            artifacts={"policy": f"p{number}", "responses[0]": f"p{number}", "matches": "e"},
            policies={"policy": response, "responses[0]": response},
            inputs=before if number == 2 else (),
            parameters={"policies": ["bot", "idle"]},
        )
        made[f"gen_00{number}/solve"] = Summary(
            artifacts={"mixture": f"m{number}", "opponents[0]": f"m{number}", "matches": "x", "summary": "s.json"},
            policies={"mixture": mixture, "opponents[0]": mixture},
            inputs=tuple(f"${{every.respond.responses}}@{one}[0]" for one in range(1, number + 1))
            + (("${previous.solve.matches}@1", "${every.solve.summary}@1") if number == 2 else ()),
            parameters={"policies": ["bot", "idle"]},
        )
    return made


def test_a_psro_lineage_is_of_policies_and_mixtures_alone():
    found = lineage_of(PSRO, psro())
    one, two, mixture, last = (
        ("respond", 1, "policy"),
        ("respond", 2, "policy"),
        ("solve", 1, "mixture"),
        ("solve", 2, "mixture"),
    )
    bot = ("", 1, "bot")
    # who is in the population, but neither in a mixture nor trained against, is left out
    assert set(found.nodes) == {one, two, mixture, last, bot}
    assert set(found.edges) == {(bot, mixture), (one, mixture), (mixture, two), (one, two), (bot, last), (two, last)}
    assert found.nodes[mixture].about == "a mixture of 2" and found.nodes[mixture].kind == "mixture"


def test_a_lineage_is_drawn_with_links_and_ratings():
    html = picture(lineage_of(LOOP, loop()), LOOP, {"net-2": "1,500 [1,400, 1,600]"})
    assert html.count("<rect") == 5
    assert html.count("<path") == 5
    assert 'href="gen_002/train/report.html"' in html
    assert "1,500 [1,400, 1,600]" in html
    assert picture(lineage_of(LOOP, {}), LOOP, {}) == ""


def test_long_and_wide_lineages_stay_readable():
    entries = [entry("train", generation) for generation in range(1, 21)]
    summaries = {
        item["folder"]: Summary(
            artifacts={f"several[{index}]": f"p{index}" for index in range(9)},
            policies={
                f"several[{index}]": {"id": f"{item['generation']}-{index}", "parent": None, "trained_by": "PPO"}
                for index in range(9)
            },
        )
        for item in entries
    }
    html = picture(lineage_of(entries, summaries), entries, {})
    before, _, behind = html.partition("<details>")
    assert before.count("<rect") == 5 * 4
    assert before.count("and 5 more") == 5
    assert behind.count("<rect") == 20 * 4


def test_the_page_over_everything_lists_sweeps_manual_runs_and_damage(tmp_path):
    write_json(
        tmp_path / "a/experiment.json", {"name": "a", "state": "finished", "stages": [], "updated": "2026-01-02"}
    )
    write_json(tmp_path / "s/sweep.json", {"name": "<s>", "state": "finished", "message": "6 of 6 finished"})
    (tmp_path / "s/index.html").write_text("mine")
    write_json(
        tmp_path / "manual/03_self_play/status.json", {"state": "failed", "message": "<boom>", "updated": "2026-01-01"}
    )
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/experiment.json").write_text("{")
    html = write_overview(tmp_path).read_text()
    for said in ("Sweeps", 'href="s/index.html"', "&lt;s&gt;", "03_self_play", "&lt;boom&gt;", "not readable as JSON"):
        assert said in html, said
    assert '<span class="faint">6 of 6' in html and '<span class="error-text">&lt;boom' in html
    assert write_overview(tmp_path / "s") is None
    assert (tmp_path / "s/index.html").read_text() == "mine"


def test_attempts_are_told(tmp_path):
    common = {"chain": "", "generation": 1, "seconds": 1.0, "why": "attempt 2 of 3: killed before"}
    entries = [
        {**common, "stage": "a", "folder": "gen_001/a", "state": "killed", "attempt": 2,
         "retry": {"attempt": 2, "of": 3, "waits": 60.0}, "tries": [{"state": "killed", "error": "<gone>"}]},
        {**common, "stage": "b", "folder": "gen_001/b", "state": "finished", "attempt": 4, "retry": None},
        {**common, "stage": "c", "folder": "gen_001/c", "state": "skipped"},
    ]  # fmt: skip
    write_json(
        tmp_path / "x/experiment.json",
        {"name": "x", "file": "x.yaml", "overrides": [], "state": "paused", "message": "", "stages": entries},
    )
    html = write_index(tmp_path / "x").read_text()
    for said in (
        "attempt 2 of 3, waits 1 min 00 s",
        "before: killed: &lt;gone&gt;",
        "begun 4 times",
        "2 of 3 stages done",
        "chip paused",
    ):
        assert said in html, said
