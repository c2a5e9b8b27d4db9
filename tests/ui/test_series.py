import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ui import follow
from workbench.ui.follow import MetricsFollower
from workbench.ui.series import Series, joined


def test_stretches_by_hand():
    series = Series(limit=4)
    series.extend([1, 2, 3], [5.0, 1.0, 3.0])
    assert series.points().mean.tolist() == [5.0, 1.0, 3.0]
    series.extend([4, 5, 6, 7], [9.0, 0.0, 2.0, 4.0])
    # five values are too many for four stretches: pairs are merged, and what follows comes in pairs
    points = series.points()
    assert points.step.tolist() == [1, 3, 5, 7]
    assert points.low.tolist() == [1.0, 3.0, 0.0, 4.0]
    assert points.high.tolist() == [5.0, 9.0, 2.0, 4.0]
    assert points.mean.tolist() == [3.0, 6.0, 1.0, 4.0]
    assert joined(points, Series().points()).step.tolist() == [1, 3, 5, 7]
    with pytest.raises(ValueError, match="an even number from 2"):
        Series(limit=5)


@given(st.lists(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=50), max_size=8))
def test_no_peak_is_lost_whatever_comes_together(parts):
    series, whole, step = Series(limit=8), [], 0
    for part in parts:
        series.extend(range(step, step + len(part)), part)
        step += len(part)
        whole += [value for value in part if np.isfinite(value)]
    points = series.points()
    assert series.values == len(whole)
    assert len(points.step) <= 9
    if whole:
        assert points.low.min() == min(whole) and points.high.max() == max(whole)
        assert (np.diff(points.step) > 0).all()
        assert (points.low <= points.mean + 1e-6).all() and (points.mean <= points.high + 1e-6).all()


def test_how_values_come_makes_no_difference():
    values = np.random.default_rng(0).normal(size=5000)
    at_once, one_by_one = Series(64), Series(64)
    at_once.extend(np.arange(5000), values)
    for step, value in enumerate(values):
        one_by_one.extend([step], [value])
    for together, single in zip(at_once.points(), one_by_one.points(), strict=True):
        assert np.allclose(together, single)


def line(step: int, **metrics) -> str:
    return json.dumps({"step": step, "time": 1000.0 + step, **metrics}) + "\n"


def test_following_a_file_that_grows(tmp_path):
    path = tmp_path / "metrics.jsonl"
    follower = MetricsFollower(path)
    assert not follower.read() and not follower.gone and follower.lines == 0
    path.write_text(line(1, a=1.0, note="text", fine=True) + line(2, a=None, b=2))
    assert follower.read() and follower.names == ["a", "b"]
    assert not follower.read()
    with path.open("a") as file:
        file.write(line(3, a=3.0) + '{"step": 4, "ti')
    assert follower.read()
    assert follower.points("a").step.tolist() == [1, 3] and follower.points("a").mean.tolist() == [1.0, 3.0]
    assert follower.points("b").mean.tolist() == [2.0] and follower.points("nothing").mean.tolist() == []
    with path.open("a") as file:
        file.write('me": 5, "a": 4.0}\n')
    assert follower.read() and follower.points("a").step.tolist() == [1, 3, 4]
    assert follower.lines == 4 and follower.last["a"] == 4.0


def test_a_run_that_goes_back_to_its_checkpoint_is_read_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(step, a=step) for step in range(10)))
    follower = MetricsFollower(path)
    follower.read()
    (tmp_path / "new").write_text("".join(line(step, a=step) for step in range(3)))
    (tmp_path / "new").replace(path)
    with path.open("a") as file:
        file.write("".join(line(step, a=-step) for step in range(3, 12)))
    assert follower.read()
    assert follower.points("a").mean.tolist() == [0, 1, 2, *(-step for step in range(3, 12))]
    assert follower.lines == 12


def test_a_file_that_is_deleted_is_noticed_once_and_what_was_seen_stays(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, a=1.0))
    follower = MetricsFollower(path)
    follower.read()
    path.unlink()
    assert follower.read() and follower.gone
    assert not follower.read()
    assert follower.points("a").mean.tolist() == [1.0]


def test_of_a_long_file_the_newest_lines_come_first_and_all_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "_SLICE", 200_000)
    path = tmp_path / "metrics.jsonl"
    values = np.random.default_rng(1).normal(size=40_000).round(6)
    with path.open("w") as file:
        file.writelines(
            line(step, a=value, **({"late": 1.0} if step > 39_990 else {})) for step, value in enumerate(values)
        )
        size = file.tell()
    follower = MetricsFollower(path)
    follower.read(seconds=0)
    assert 0 < follower.share_read < 1
    assert follower.last["step"] == 39_999 and "late" in follower.names
    with path.open("a") as file:
        file.write(line(40_000, a=99.0))
    follower.read(seconds=0)
    assert follower.points("a").high.max() == 99.0
    while follower.share_read < 1:
        assert follower.read(seconds=0)
    assert follower.lines == 40_001 and size > 1_400_000
    whole = Series()
    whole.extend(range(40_001), [*values, 99.0])
    for seen, expected in zip(follower.points("a"), whole.points(), strict=True):
        assert np.allclose(seen, expected)


def test_only_what_is_new_is_read(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(step, a=step) for step in range(1000)))
    follower, asked = MetricsFollower(path), []
    follower.read()
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda handle, count, start: asked.append(count) or pread(handle, count, start))
    for _ in range(5):
        assert not follower.read()
    assert asked == []
    with path.open("a") as file:
        file.write(added := line(1000, a=1))
    assert follower.read() and asked == [len(added)]


def test_a_metric_that_changes_its_kind_is_read_where_it_is_a_number(tmp_path):
    path = tmp_path / "metrics.jsonl"
    mixed = [line(step, a=float(step) if step % 2 else "text", b=step) for step in range(600)]
    path.write_text("".join(mixed))
    follower = MetricsFollower(path)
    follower.read()
    assert follower.points("a").step.tolist() == list(range(1, 600, 2))
    assert len(follower.points("b").step) == 600
