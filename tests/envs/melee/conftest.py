"""A match of one game that tests can pose, press buttons in and read."""

import numpy as np
import pytest

from workbench.envs.melee.controller import BUTTON_NAMES, C_STICK, MAIN_STICK, SHOULDER
from workbench.envs.melee.env import MeleeMockEnv
from workbench.envs.melee.state import FIGHTER


def action(button="none", stick=(0, 0), c=(0, 0), shoulder=0.0):
    """Indices of the heads for a controller described in the game's own terms."""
    main = int(np.square(MAIN_STICK - np.asarray(stick, np.float32)).sum(1).argmin())
    c_stick = int(np.square(C_STICK - np.asarray(c, np.float32)).sum(1).argmin())
    return [BUTTON_NAMES.index(button), main, c_stick, int(np.abs(SHOULDER - shoulder).argmin())]


class Match:
    """One game between two fighters, on one env of batch size 1."""

    def __init__(self, first="fox", second="fox", stage="final_destination", **options):
        self.env = MeleeMockEnv(1, characters=first, opponent_characters=second, stage=stage, **options)
        self.env.reset(0)
        self.timestep = None
        self.pose(0, x=-40, facing=1)
        self.pose(1, x=40, facing=-1)

    def __getitem__(self, seat):
        return self.env.fighters()[0, seat]

    def pose(self, seat, **fields):
        """Overwrite a fighter's fields between two frames."""
        state = self.env.state()
        fighters = state["fighters"].reshape(-1).view(FIGHTER)
        for name, value in fields.items():
            fighters[name][seat] = value
        self.env.restore(state)

    def play(self, first=None, second=None, frames=1):
        """Hold two controllers for some frames; each a dict of `action`'s arguments."""
        choice = np.array([[action(**(first or {})), action(**(second or {}))]])
        for _ in range(frames):
            self.timestep = self.env.step(choice)
        return self

    def until(self, condition, first=None, second=None, limit=400):
        """Play until the condition holds; the number of frames it took."""
        for frame in range(limit):
            if condition():
                return frame
            self.play(first, second)
        raise AssertionError(f"not reached in {limit} frames; fighters {self.env.fighters()}")


@pytest.fixture
def match():
    return Match
