import numpy as np
import pandas as pd
from matplotlib import colormaps

from workbench.arena import collect, ratings
from workbench.arena.executors import SerialExecutor
from workbench.data.datasets import Dataset
from workbench.markup import ink_on, share_colour
from workbench.metagame.payoffs import EmpiricalGame
from workbench.ui.tables import figures_table, leaderboard, table, winrate_table


def survives(html: str) -> bool:
    """An untrusted notebook keeps inline style and titles, and drops all else."""
    return not any(tag in html for tag in ("<style", "<script", "<svg", "class=", "onclick", "<img"))


def test_every_table_survives_an_untrusted_notebook(few):
    rated = ratings(few, bootstraps=20)
    for html in (leaderboard(rated), winrate_table(few, rated), table(rated.table), figures_table({"a": 1})):
        assert survives(html)
        assert html._repr_html_() == html


def test_text_is_escaped_everywhere(few):
    evil = '"><script>alert(1)</script>'
    frame = few.table.assign(policy_0=few.table["policy_0"].replace("gen_000", evil))
    frame["policy_1"] = frame["policy_1"].replace("gen_000", evil)
    matches = type(few)(frame)
    for html in (winrate_table(matches), table(pd.DataFrame({evil: [evil]}), caption=evil, note=evil)):
        assert "<script>" not in html
        assert '="">' not in html


def test_hovering_a_cell_tells_its_games(few):
    html = winrate_table(few)
    score = few.score("gen_001", "random")
    expected = (
        f"gen_001 against random: {score.wins} won, {score.draws} drawn, {score.losses} lost of 60; "
        f"{score.rate:.1%}, 95% interval {score.low:.1%} to {score.high:.1%}"
    )
    assert f'title="{expected}"' in html
    assert html.count("background-color") == 4 * 3


def test_sentences_are_broken_into_lines_and_names_are_not():
    assert table(pd.DataFrame({"why": ["word " * 20], "name": ["x" * 80]})).count("white-space:normal") == 1


def test_values_read_as_people_write_them():
    frame = pd.DataFrame({"name": ["x"], "count": [12345], "rate": [0.123456], "none": [np.nan], "big": [123456.7]})
    html = table(frame, {"rate": "{:.1%}"}, names={"count": "how many"})
    for text in ("12,345", "12.3%", "123,457", "how many"):
        assert f">{text}<" in html
    html = figures_table({"ok": True, "lr": 3e-4}, caption="Measured")
    assert ">yes<" in html and ">0.0003<" in html and "Measured" in html
    assert "<thead>" not in html


def test_what_the_library_counts_shows_itself(few, tmp_path):
    counts = few.counts
    html = counts._repr_html_()
    i, j = counts.policies.index("gen_001"), counts.policies.index("random")
    assert survives(html) and html.count("background-color") == 4 * 3
    assert (
        f"gen_001 against random: {counts.wins[i, j]} won, {counts.draws[i, j]} drawn, {counts.wins[j, i]} lost" in html
    )
    html = EmpiricalGame.of(few)._repr_html_()
    assert survives(html) and "What the row earns" in html and "gen_001 against random: +" in html

    recorded = collect("leduc", "leduc/call", ["random"], games=6, folder=tmp_path / "<b>", executor=SerialExecutor())
    dataset = Dataset(recorded.folder)
    html = dataset._repr_html_()
    assert survives(html) and "&lt;b&gt;" in html and "12 trajectories of 6 games" in html
    html = next(iter(dataset))._repr_html_()
    assert survives(html) and "random against leduc/call" in html


def test_colours_are_those_of_the_figures():
    shares = np.linspace(0, 1, 101)
    wanted = [colormaps["RdBu"](share)[:3] for share in shares]
    ours = [[int(share_colour(share)[i : i + 2], 16) / 255 for i in (1, 3, 5)] for share in shares]
    assert np.abs(np.array(ours) - wanted).max() < 0.015
    assert (ink_on("#ffffff"), ink_on("#000000")) == ("#222222", "#ffffff")
