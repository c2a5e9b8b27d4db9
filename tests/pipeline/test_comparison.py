import csv
import math

import pytest

from workbench.pipeline.comparison import compare, estimate, numbers, write_csv
from workbench.pipeline.comparison_page import render, write_comparison
from workbench.pipeline.files import write_json
from workbench.pipeline.page import loads_from_outside

# made so that every number below can be worked out by hand
SCORES = {"1": {"0": 1.0, "1": 2.0, "2": 3.0}, "2": {"0": 2.0, "1": 4.0, "2": 6.0}}


def scores(values, generation):
    score = SCORES[values["train.epochs"]][values["shared.seed"]] + generation - 2
    return {"train": {"score": score, "games": 10 * generation, "rate": [score / 10, 0.0, 1.0]}}


@pytest.fixture
def sweep(make_sweep, tmp_path):
    return make_sweep(tmp_path / "s", ["train.epochs=1,2", "shared.seed=0..2"], scores, generations=2)


def test_a_mean_has_students_interval():
    found = estimate([1.0, 2.0, 3.0])
    half = 4.302652730 / math.sqrt(3)  # t(0.975, 2), s = 1
    assert (found.mean, found.count) == (2.0, 3)
    assert found.low == pytest.approx(2 - half)
    assert found.high == pytest.approx(2 + half)
    assert not found.excludes_zero
    assert estimate([5.0]).low is None
    assert estimate([]) is None
    assert estimate([2.0, 2.0]).low == estimate([2.0, 2.0]).high == 2.0


def test_settings_are_means_over_seeds_of_the_last_generation(sweep):
    comparison = compare(sweep)
    assert [setting.name for setting in comparison.settings] == ["epochs 1", "epochs 2"]
    one, two = comparison.settings
    figure = ("", "train", "score")
    assert one.estimate(figure).mean == 2.0  # of 1, 2, 3
    assert two.estimate(figure).mean == 4.0  # of 2, 4, 6
    apart = two.difference(one, figure)  # 1, 2, 3
    assert (apart.mean, apart.count) == (2.0, 3)
    assert apart.high - apart.mean == pytest.approx(4.302652730 / math.sqrt(3))
    over = one.over_generations(figure)
    assert [found.mean for found in over.values()] == [1.0, 2.0]
    assert comparison.generations == 2


def test_differences_are_paired_by_seed_and_leave_out_what_one_side_lacks(make_sweep, tmp_path):
    def made(values, generation):
        lacks = values == {"train.epochs": "1", "shared.seed": "2"}
        return {"train": None} if lacks else scores(values, 2)

    folder = make_sweep(
        tmp_path / "s", ["train.epochs=1,2", "shared.seed=0..2"], made, states={"epochs=1,seed=2": "failed", "epochs=2,seed=0": "pending"}
    )  # fmt: skip
    one, two = compare(folder).settings
    figure = ("", "train", "score")
    assert (one.estimate(figure).count, two.estimate(figure).count) == (2, 2)
    apart = two.difference(one, figure)
    assert (apart.mean, apart.low, apart.count) == (2.0, None, 1)  # seed 1 alone: 4 - 2


def test_a_stage_that_has_not_come_to_its_last_generation_does_not_count_as_if_it_had(make_sweep, tmp_path):
    def made(values, generation):
        unfinished = generation == 2 and values["shared.seed"] == "0"
        return {"train": None} if unfinished else scores(values, generation)

    folder = make_sweep(tmp_path / "s", ["train.epochs=1,2", "shared.seed=0..2"], made, generations=2)
    one = compare(folder).settings[0]
    assert one.estimate(("", "train", "score")).mean == 2.5  # of 2, 3; the 0 of the first generation is not one of them
    assert one.over_generations(("", "train", "score"))[1].count == 3


def test_numbers_of_metrics():
    assert numbers({"a": 1, "b": [0.5, 0.4, 0.6], "c": "text", "d": True, "e": float("inf")}) == {"a": 1.0, "b": 0.5}
    assert numbers({"rating/x": [1, 0, 2], "rating/y": [3, 2, 4]}) == {"rating/x": 1.0, "rating/y": 3.0}


def test_the_table_for_other_programs(sweep):
    rows = list(csv.DictReader(write_csv(compare(sweep), sweep).open()))
    assert [(row["train.epochs"], row["figure"]) for row in rows][:2] == [("1", "score"), ("1", "games")]
    row = next(row for row in rows if row["train.epochs"] == "2" and row["figure"] == "score")
    assert (row["stage"], row["seeds"], row["mean"], row["difference"], row["paired_seeds"]) == (
        "train",
        "3",
        "4.0",
        "2.0",
        "3",
    )
    assert float(row["high"]) == pytest.approx(4 + 2 * 4.302652730 / math.sqrt(3))
    assert rows[0]["difference"] == ""


def test_the_page_says_it_all(sweep):
    html = write_comparison(sweep).read_text()
    assert "4</b>" in html
    assert "Δ +2 [-0.484, 4.48]" in html
    assert "95% intervals of the mean by Student's t" in html
    assert "The same in all runs: games 20" in html
    assert 'href="epochs%3D2%2Cseed%3D1/gen_002/train/report.html"' in html
    assert loads_from_outside(html) == []


def test_the_page_of_one_run_a_setting_claims_no_intervals(make_sweep, tmp_path):
    folder = make_sweep(
        tmp_path / "s", ["train.epochs=1,2"], lambda values, _: {"train": {"score": int(values["train.epochs"])}}
    )
    html = write_comparison(folder).read_text()
    assert "there are no intervals" in html
    assert "Δ +1" in html


def test_the_page_shows_what_failed_and_is_there_before_anything_is(make_sweep, tmp_path):
    broken = make_sweep(
        tmp_path / "s", ["train.epochs=1,2", "shared.seed=0..2"], lambda values, _: {"train": None if values["shared.seed"] == "1" else {"score": 1.0}},
        states={"epochs=1,seed=1": "failed", "epochs=2,seed=1": "died"}, state="failed",
    )  # fmt: skip
    html = write_comparison(broken).read_text()
    assert html.count('class="chip failed"') == 3
    assert html.count('class="chip died"') == 2
    everything = {name: "pending" for name in ("epochs=1", "epochs=2")}
    empty = make_sweep(tmp_path / "e", ["train.epochs=1,2"], None, states=everything, state="running")
    assert "2 pending" in write_comparison(empty).read_text()


def test_the_page_is_there_while_nobody_has_come_to_the_last_generation(make_sweep, tmp_path):
    def made(values, generation):
        return {"train": {"score": int(values["train.epochs"])} if generation == 1 else None}

    folder = make_sweep(tmp_path / "s", ["train.epochs=1,2"], made, generations=2, state="running")
    assert "score" in write_comparison(folder).read_text()


def test_the_page_shows_no_text_as_html(make_sweep, tmp_path):
    evil = "<script>alert('&\"')</script>"
    folder = make_sweep(
        tmp_path / "s", [f"train.{evil.replace('.', '')}='{evil}',b"], lambda values, _: {evil: {evil: float(len(str(values)))}},
    )  # fmt: skip
    for file in folder.glob("*/experiment.json"):
        write_json(file, {"name": evil, "state": "failed", "message": evil, "stages": [
            {"chain": evil, "generation": 1, "stage": evil, "folder": evil.replace("/", ""), "state": "failed", "error": evil}]})  # fmt: skip
    html = render(folder, compare(folder))
    assert "<script" not in html
    assert loads_from_outside(html) == []
