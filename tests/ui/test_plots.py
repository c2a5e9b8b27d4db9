import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from workbench.arena import Matches, ratings
from workbench.ui import plots
from workbench.ui.style import Figure, Palette, natural, short_names


@pytest.fixture(scope="session")
def rated(few):
    return ratings(few, bootstraps=100)


@pytest.fixture(scope="session")
def crowd(many):
    return ratings(many, bootstraps=50)


def texts(figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return found + [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]


def labelled(figure) -> bool:
    """Every visible panel has a title or a labelled axis, and the figure a title somewhere."""
    panels = [axes for axes in figure.axes if axes.get_visible()]
    titled = figure.get_suptitle() or any(axes.get_title(loc="left") for axes in panels)
    return bool(titled) and all(axes.get_xlabel() or axes.get_ylabel() or axes.get_title(loc="left") for axes in panels)


def overlap(boxes) -> bool:
    return any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_every_figure_is_there_and_those_of_games_need_no_torch():
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    with pytest.raises(AttributeError, match="it offers Figure"):
        plots.pie  # noqa: B018
    drawn = (
        "import sys, workbench as wb; wb.plots.filter_summary; wb.plots.winrate_heatmap; wb.ratings; wb.filter_folder"
    )
    subprocess.run([sys.executable, "-c", f"{drawn}; assert 'torch' not in sys.modules"], check=True)


def test_rankings_stand_where_the_ratings_say(rated):
    figure = plots.elo_rankings(rated)
    (axes,) = figure.axes
    assert labelled(figure)
    drawn = {line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1}
    assert {round(x, 6) for x in drawn} >= {round(x, 6) for x in rated.table["bradley_terry"]}
    spans = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    for row in rated.table.itertuples():
        assert (row.low, row.high) in spans
    dashed = [line for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    assert list(dashed[0].get_xdata()) == [1500, 1500]
    assert [label.get_text() for label in axes.get_yticklabels()] == rated.table["policy"].tolist()


def test_progression_ends_at_the_ratings_of_its_order(few):
    rated = ratings(few, bootstraps=0, shuffles=0)
    figure = plots.elo_progression(rated)
    (axes,) = figure.axes
    assert labelled(figure)
    ends = sorted(line.get_ydata()[-1] for line in axes.lines[:-1])
    assert ends == pytest.approx(sorted(rated.elo.ratings))
    assert all(line.get_ydata()[0] == 1500 for line in axes.lines)
    assert "one order of many" not in axes.get_xlabel()


def test_progression_says_that_it_is_one_order_and_what_the_standing_is(rated):
    (axes,) = plots.elo_progression(rated).axes
    assert "one order of many" in axes.get_xlabel() and "Bradley–Terry" in axes.get_xlabel()
    (legend,) = plots.elo_rankings(rated).legends
    assert "Elo, mean of 100 orders" in [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("which", ["rated", "crowd"])
def test_names_at_the_ends_of_lines_do_not_overlap(which, request):
    figure = plots.elo_progression(request.getfixturevalue(which))
    figure.png(dpi=100)
    renderer = figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in figure.axes[0].texts]  # without the arrow
    assert len(boxes) >= 4
    # bounding boxes include a line's leading; two texts are clear of each other when their inner parts are
    assert not overlap([box.shrunk(1, 0.8) for box in boxes])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_heatmap_cells_hold_rates_in_order_of_strength(few, rated):
    figure = plots.winrate_heatmap(few, rated)
    axes = figure.axes[0]
    order = rated.table["policy"].tolist()
    assert [label.get_text() for label in axes.get_yticklabels()] == order
    image = axes.images[0]
    assert (image.norm.vmin, image.norm.vmax) == (0, 1)
    assert image.get_array()[0, 1] == pytest.approx(few.score(order[0], order[1]).rate)
    assert np.ma.getmaskarray(image.get_array()).diagonal().all() or np.isnan(image.get_array().diagonal()).all()
    score = few.score(order[0], order[-1])
    assert f"{score.rate:.0%}" in texts(figure)
    assert any(text.endswith("60 games") for text in texts(figure))


def test_statistics_show_results_lengths_and_ends(few):
    figure = plots.statistics_comparison(few)
    assert labelled(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Win rate against all others", "Won, drawn, lost", "Length of games", "How games ended"]
    assert {text.get_text() for text in figure.axes[3].get_legend().get_texts()} == {"rules", "time limit"}
    widths = sum(patch.get_width() for patch in figure.axes[1].patches)
    assert widths == 2 * len(few)


def test_the_four_figures_are_written(few, tmp_path):
    files = plots.save_tournament_figures(few, tmp_path / "figures")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "elo_progression.png",
        "elo_rankings.png",
        "statistics_comparison.png",
        "winrate_heatmap.png",
    ]
    for path in files.values():
        with Image.open(path) as image:
            assert min(image.size) > 300
            assert len(image.convert("L").resize((64, 64)).getcolors()) > 5


def test_crowds_and_long_names_still_fit(many, crowd):
    for figure in (
        plots.elo_rankings(crowd),
        plots.winrate_heatmap(many, crowd),
        plots.statistics_comparison(many),
    ):
        width, height = figure.get_size_inches()
        assert width < 16 and height < 20
        shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert len(set(shown)) == 22
        assert max(map(len, shown)) <= 40


def test_two_players_and_one_game(few):
    table = few.table[few.table["policy_0"] == "gen_000"].iloc[:1]
    one = Matches(table)
    for figure in (
        plots.elo_rankings(ratings(one, bootstraps=20)),
        plots.elo_progression(ratings(one, bootstraps=0)),
        plots.winrate_heatmap(one),
        plots.statistics_comparison(one),
    ):
        assert figure.png(dpi=60).startswith(b"\x89PNG")


def metrics(updates=60, seed=0):
    generator = np.random.default_rng(seed)
    return [
        {
            "step": 100 * (i + 1),
            "time": 0.0,
            "losses/entropy": 2 - i / updates,
            "charts/SPS": 1000.0,
            "charts/win_rate/random": float(generator.binomial(4, 0.75) / 4),
            "population/win_rate/v0": 0.6,
            "population/games/v0": 100.0,
        }
        | ({"losses/value_loss": 1.0} if i % 2 else {})
        for i in range(updates)
    ]


def test_training_curves_show_what_was_logged():
    figure = plots.training_curves(metrics(), title="A run")
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["value loss", "entropy (nats)", "steps per second"]
    faint, strong = figure.axes[1].lines
    assert faint.get_ydata()[0] == 2.0
    assert len(strong.get_ydata()) == 60
    assert len(figure.axes[0].lines[0].get_xdata()) == 30
    two = plots.training_curves({"seed 1": metrics(), "seed 2": metrics(seed=1)}, ["losses/entropy"])
    assert [text.get_text() for text in two.legends[0].get_texts()] == ["seed 1", "seed 2"]
    with pytest.raises(ValueError, match=r"none of \['losses/kl'\] was logged; there is .*losses/entropy"):
        plots.training_curves(metrics(), ["losses/kl"])
    with pytest.raises(ValueError, match="'step'"):
        plots.training_curves([])


def test_win_rate_curves_have_intervals():
    figure = plots.win_rate_curves(metrics())
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    # Wilson's interval of 60 of 100 at 95%: .5020 to .6906
    assert (band.min(), band.max()) == pytest.approx((0.5020, 0.6906), abs=1e-4)
    assert "running over the last ~200 games" in figure.axes[0].get_ylabel()
    assert "last ~50 games" in plots.win_rate_curves(metrics(), memory=50).axes[0].get_ylabel()
    rolling = plots.win_rate_curves(metrics(), prefix="charts/win_rate/", window=60)
    assert "running" not in rolling.axes[0].get_ylabel()
    vertices = rolling.axes[0].collections[0].get_paths()[0].vertices
    at_the_end = vertices[vertices[:, 0] == 6000, 1]
    values = np.array([row["charts/win_rate/random"] for row in metrics()])
    error = 1.96 * values.std(ddof=1) / np.sqrt(60)
    assert at_the_end.min() == pytest.approx(values.mean() - error)
    assert at_the_end.max() == pytest.approx(values.mean() + error)
    with pytest.raises(ValueError, match="no metric begins with 'none/'"):
        plots.win_rate_curves(metrics(), prefix="none/")


def test_generations_by_rating_with_the_gain(rated):
    figure = plots.learning_over_generations(rated, {"gen_000": 0, "gen_001": 1})
    axes = figure.axes[0]
    gain = rated.bradley_terry.table["rating"]["gen_001"] - rated.bradley_terry.table["rating"]["gen_000"]
    assert f"{gain:+.0f} Elo (95%:" in axes.get_title(loc="left")
    assert {"toy/greedy", "random"} <= set(texts(figure))
    with pytest.raises(ValueError, match="none of"):
        plots.learning_over_generations(rated, {"gen_007": 7})


def test_filter_summary_adds_up():
    stats = {
        "input_count": 100,
        "output_count": 60,
        "failed_reasons": {"too_short": 30, "unbalanced": 10},
        "outcomes": {
            "input": {"won": 50, "lost": 40, "drawn": 10},
            "output": {"won": 30, "lost": 30, "drawn": 0},
        },
    }
    figure = plots.filter_summary(stats)
    assert "60 of 100" in figure.get_suptitle()
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == [60, 30, 10]
    assert "30  (30.0%)" in texts(figure)
    empty = plots.filter_summary({"input_count": 0, "output_count": 0, "failed_reasons": {}})
    assert empty.png(dpi=50)


def test_length_distributions():
    lengths = {"before": np.arange(100), "after": np.arange(10, 100)}
    figure = plots.length_distributions(lengths, limits=(10, 1000))
    assert "100 in all\nmedian 49.5" in texts(figure)
    assert plots.length_distributions({"one": [7]}).png(dpi=50)


def test_a_policy_keeps_its_look_whatever_the_order():
    names = [f"v{i}" for i in range(20)] + ["random"]
    one, other = Palette(names), Palette(names[::-1])
    assert all(one[name] == other[name] for name in names)
    assert len({one[name] for name in names}) == 21
    assert one["v2"].colour != one["v10"].colour
    before = one["v3"]
    one["someone new"]
    assert one["v3"] == before


def test_natural_order():
    assert sorted(["gen 10", "gen 2", "b", "gen 2a"], key=natural) == ["b", "gen 2", "gen 2a", "gen 10"]


@pytest.mark.parametrize(
    "names",
    [
        [f"outputs/experiment/gen_{i:03d}/06_finetune/policy" for i in range(12)],
        [f"{'x' * 20}{i}{'y' * 20}" for i in range(5)],
        ["short", "a/very/long/path/that/nobody/wants/to/read", "another/very/long/path/that/nobody/wants"],
        ["same/folder/with/a/long/name/policy", "same/folder/with/a/long/name/policy2"],
    ],
)
def test_short_names_stay_apart(names):
    labels = short_names(names, 28)
    assert len(set(labels.values())) == len(names)
    assert all(labels[name] == name for name in names if len(name) <= 28)


def test_shared_folders_are_left_out_of_names():
    labels = short_names(["outputs/run/gen_001/06_finetune/policy", "outputs/run/gen_002/06_finetune/policy"])
    assert list(labels.values()) == ["…/gen_001/…", "…/gen_002/…"]


def test_figures_show_themselves_and_leave_nothing_behind(rated):
    before = dict(matplotlib.rcParams)
    figure = plots.elo_rankings(rated)
    assert isinstance(figure, Figure)
    png, size = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert size["width"] == int(figure.get_size_inches()[0] * 96)
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_a_run_that_met_nobody_else_says_so_instead_of_failing():
    figure = plots.win_rate_curves([{"step": 1, "losses/entropy": 0.5}, {"step": 2, "losses/entropy": 0.4}])
    assert "played only itself" in figure.axes[0].texts[0].get_text()
