"""A task that only memory solves: a cue is shown once and asked for later."""

from __future__ import annotations

import numpy as np

from workbench.envs.core import ActionSpec, EnvSpec, Field, Head
from workbench.envs.players import ScriptedPlayer, register_scripted
from workbench.envs.vectorised import Played, VectorisedEnv, uniforms


class MemoryEnv(VectorisedEnv):
    """Each seat sees a cue of its own in the first step and must name it `delay` steps later.

    Until the question only `wait` is legal, and with the question only the cues are, so that nothing but the answer
    is learned. Answering right earns 1, wrong -1. The seats do not touch each other; the outcome compares them.
    Without memory the expected reward is 2 / cues - 1.

    Args:
        batch_size: games at once.
        delay: steps from the cue to the question, at least 1. A game lasts `delay + 1` steps.
        cues: how many different cues there are, at least 2.
    """

    def __init__(self, batch_size: int = 64, *, delay: int = 16, cues: int = 2):
        if delay < 1 or cues < 2:
            raise ValueError(f"memory: delay is {delay} and cues {cues}, expected at least 1 and at least 2")
        self.delay = delay
        names = tuple(f"cue {index}" for index in range(cues))
        spec = EnvSpec(
            name="memory",
            version=1,
            observation={"cue": Field((cues,), names=names), "question": Field((1,), names=("asked now",))},
            action=ActionSpec((Head("answer", ("wait", *names)),)),
        )
        game = {"cue": np.zeros((batch_size, 2), np.int64), "clock": np.zeros(batch_size, np.int64)}
        super().__init__(spec, batch_size, game)
        self._one_hot = np.eye(cues, dtype=np.float32)
        self._acting[:] = True

    def _begin(self, rows, seeds):
        self._game["cue"][rows] = (uniforms(seeds, 2) * len(self._one_hot)).astype(np.int64)
        self._game["clock"][rows] = 0

    def _play(self, actions):
        over = self._game["clock"] == self.delay
        right = actions[:, :, 0] - 1 == self._game["cue"]
        reward = over[:, None] * np.where(right, 1, -1)
        self._game["clock"] += 1
        return Played(reward, over, np.zeros_like(over), np.sign(reward[:, 0] - reward[:, 1]))

    def _observe(self, rows):
        clock = self._game["clock"][rows]
        shown = (clock == 0)[:, None, None]
        asked = (clock == self.delay)[:, None, None]
        self._observation["cue"][rows] = self._one_hot[self._game["cue"][rows]] * shown
        self._observation["question"][rows] = asked
        self._legal[0][rows] = asked
        self._legal[0][rows, :, 0] = ~asked[:, :, 0]


class PerfectMemory(ScriptedPlayer):
    """Keeps the cue in its recurrent state and names it when asked."""

    state_size = 1

    def choose(self, observation, legal, state, generator):
        cue = observation["cue"]
        shown = cue.any(axis=1)
        state[shown, 0] = cue[shown].argmax(axis=1)
        asked = observation["question"][:, 0] > 0
        return np.where(asked, state[:, 0] + 1, 0).astype(np.int64)[:, None]


register_scripted("memory/perfect", PerfectMemory)
