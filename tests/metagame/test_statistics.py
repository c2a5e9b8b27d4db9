"""Means over seeds and paired differences, by hand."""

import numpy as np
import pytest

from workbench.metagame.statistics import mean_interval, paired


def test_the_interval_by_hand():
    # 1, 2, 3: mean 2, deviation 1, t(2) = 4.3027: 2 -+ 4.3027 / sqrt 3
    assert mean_interval([1, 2, 3]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert np.isnan(mean_interval([1.0])[1])


def test_differences_are_taken_seed_by_seed():
    table = paired([1.0, 2.0, 3.0], [0.5, 1.5, 2.5], ("damped", "undamped"))
    assert table.loc["difference", ["mean", "low", "high"]].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert table.loc["damped", "high"] - table.loc["damped", "low"] > 4
    with pytest.raises(ValueError, match="one a seed"):
        paired([1.0], [], ("a", "b"))
