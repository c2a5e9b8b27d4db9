"""Schedules at points worked by hand."""

import math

import pytest

from workbench.learning.schedules import Schedule


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Schedule(), {0: 1, 0.5: 1, 1: 1}),
        (Schedule(kind="linear"), {0: 1, 0.25: 0.75, 1: 0, 2: 0}),
        (Schedule(kind="linear", floor=0.1), {0.5: 0.55, 1: 0.1}),
        (Schedule(kind="linear", warmup=0.2), {0: 0, 0.1: 0.5, 0.2: 1, 0.6: 0.5, 1: 0}),
        (Schedule(kind="cosine"), {0: 1, 1 / 3: 0.75, 0.5: 0.5, 1: 0}),
        (Schedule(kind="cosine", floor=0.2), {0.5: 0.6, 1: 0.2}),
        (Schedule(kind="exponential", rate=0.01), {0: 1, 0.5: 0.1, 1: 0.01}),
        # cycles of .2 and .4: [0, .2), [.2, .6), [.6, 1.4)
        (Schedule(kind="restarts", first=0.2), {0: 1, 0.1: 0.5, 0.2: 1, 0.4: 0.5, 0.6: 1, 1: 0.5}),
    ],
    ids=lambda value: value.kind if isinstance(value, Schedule) else "",
)
def test_points_worked_by_hand(schedule, points):
    assert {at: schedule(at) for at in points} == pytest.approx(points, abs=1e-9)


def test_restarts_last_cycle_goes_down_to_its_floor():
    assert Schedule(kind="restarts", first=0.5, growth=1)(0.4999) == pytest.approx(0, abs=1e-4)
    assert Schedule(kind="restarts", first=1.0)(1 / 3) == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


def test_given_by_name_or_json():
    assert Schedule.of("linear") == Schedule(kind="linear")
    assert Schedule.of(Schedule(kind="cosine", warmup=0.1).to_json()) == Schedule(kind="cosine", warmup=0.1)


def test_refusals():
    with pytest.raises(ValueError, match="did you mean cosine"):
        Schedule(kind="cosin")
    with pytest.raises(ValueError, match="warmup"):
        Schedule(warmup=1.0)
