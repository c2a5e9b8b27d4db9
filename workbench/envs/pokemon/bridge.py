"""A batch of Showdown battles in several Node processes, which goes on when one of them dies.

`Simulators` plays a batch of battles spread over processes. A step is one write and one read a process; all processes
work at the same time. What was chosen so far in each running game is remembered, so that a process that died is
replaced by one in the same state.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import struct
from collections.abc import Callable, Sequence

import numpy as np

from workbench.envs.core import SEATS, game_seed
from workbench.envs.pokemon import dex
from workbench.envs.pokemon.node_process import DESCRIBE, REPLAY, RESET, STEP, NodeProcess, SimulatorDied
from workbench.envs.pokemon.view import EFFECTS, VIEW_SIZE, layout

_log = logging.getLogger(__name__)

_MOST_CRASHES = 3  # of one process without a step in between
_MASK = 0xFFFFFFFFFFFFFFFF

HEAD = np.dtype(
    [
        ("done", "i2"),  # 0 running, 1 ended by the rules, 2 cut by the turn limit
        ("outcome", "i2"),
        ("length", "i2"),
        ("end_reason", "i2"),
        ("seed", "<u8"),
        ("game", "<i4"),
        ("spare", "i2", 2),
    ]
)
TERMINATED, TRUNCATED = 1, 2


class Simulators:
    """A batch of gen1ou battles in several Node processes; dead processes are replaced and brought up to date.

    Args:
        slots: the batch's slot numbers; a slot plays the same games whatever the batch and the number of processes.
        teams: packed teams each seat draws from.
        processes: Node processes, at most one a slot.
        turn_limit: games are cut when their turn counter passes it.
        timeout: seconds without an answer after which a process counts as dead.

    Attributes:
        head: `HEAD [B]`, of the last step.
        views: int16 `[B, 2, V]`; where done, already the next game's.
        final_views: int16 `[B, 2, V]`, valid where done.
        crashes: processes replaced so far.
    """

    def __init__(
        self,
        slots: np.ndarray,
        teams: tuple[Sequence[str], Sequence[str]],
        *,
        processes: int = 1,
        turn_limit: int = 1000,
        timeout: float = 60.0,
    ):
        self.slots = np.asarray(slots, np.int64)
        batch = len(self.slots)
        if not 1 <= processes <= batch:
            raise ValueError(f"processes is {processes}; expected 1 to {batch}, the number of battles")
        self.head = np.zeros(batch, HEAD)
        self.views = np.zeros((batch, SEATS, VIEW_SIZE), np.int16)
        self.final_views = np.zeros((batch, SEATS, VIEW_SIZE), np.int16)
        self.crashes = 0
        self.seed = 0
        self._teams = tuple(tuple(side) for side in teams)
        self._given: dict[int, tuple[str, str]] = {}  # by index: teams that were not drawn, until the game ends
        self._history = np.zeros((batch, 64, SEATS), np.int8)
        self._steps = np.zeros(batch, np.int64)
        self._games = np.zeros(batch, np.int64)  # the running game's number
        self._common = {
            "teams": self._teams,
            "turn_limit": turn_limit,
            "layout": layout(),
            "types": dex.TYPES,
            "statuses": dex.STATUSES,
            "effects": EFFECTS,
        }
        self._timeout = timeout
        bounds = np.linspace(0, batch, processes + 1).astype(int)
        self._parts = [slice(int(a), int(b)) for a, b in itertools.pairwise(bounds)]
        self._finals = np.zeros((max(part.stop - part.start for part in self._parts), SEATS, VIEW_SIZE), np.int16)
        self._nodes: list[NodeProcess] = []
        self._pending: np.ndarray | None = None  # choices of the step that is being played
        self._waiting: list[int] = []  # parts whose answer to it is still to come
        self._failed: dict[int, SimulatorDied] = {}  # parts that could not even be told of it
        self._ended = 0
        try:
            for part in self._parts:
                self._nodes.append(self._start(part))
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        """Process ids of the Node processes."""
        return [node.pid for node in self._nodes]

    def _start(self, part: slice) -> NodeProcess:
        return NodeProcess(self._common | {"slots": self.slots[part].tolist()}, self._timeout)

    def reset(self, seed: int) -> None:
        """Begin each slot's game 0 of `seed`."""
        self._give_up()
        self.seed = seed & 0xFFFFFFFFFFFFFFFF
        self._steps[:] = 0
        self._given.clear()
        self._games[:] = 0
        self._ask_all(RESET, lambda part: struct.pack("<Q", self.seed))

    def begin_step(self, choices: np.ndarray) -> None:
        """Send Showdown choices, int8 `[B, 2]`, to all processes and return at once; `end_step` collects."""
        if self._pending is not None:
            raise RuntimeError("begin_step was called twice; call end_step in between")
        self._pending = np.ascontiguousarray(choices, np.int8)
        self._waiting, self._ended = list(range(len(self._parts))), 0
        self._failed = {}
        for index, part in enumerate(self._parts):
            try:
                self._nodes[index].send(STEP, self._pending[part].tobytes())
            except SimulatorDied as died:
                self._failed[index] = died

    def end_step(self) -> int:
        """Wait for all processes; returns how many games ended. `head`, `views` and `final_views` are then current.

        Raises:
            SimulatorDied: a process died again and again.
        """
        if self._pending is None:
            raise RuntimeError("end_step was called without begin_step")
        while self._waiting:
            self._collect(self._waiting[0])
            del self._waiting[0]
        choices, self._pending = self._pending, None
        self._remember(choices)
        return self._ended

    def _collect(self, index: int) -> None:
        """One process's part of the step; where it died, from one that takes its place."""
        part = self._parts[index]
        died = self._failed.get(index)
        for _ in range(_MOST_CRASHES):
            try:
                if died is not None:
                    self._revive(index, died)
                    self._nodes[index].send(STEP, self._pending[part].tobytes())
                self._ended += self._receive(index, part)
                return
            except SimulatorDied as again:
                died = again
        raise SimulatorDied(f"a process died {_MOST_CRASHES} times in the same step: {died}") from died

    def _remember(self, choices: np.ndarray) -> None:
        if self._steps.max() >= self._history.shape[1]:
            self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)
        self._history[np.arange(len(choices)), self._steps] = choices
        self._steps += 1
        self._games[:] = self.head["game"]
        done = self.head["done"] != 0
        if done.any():
            self._steps[done] = 0
            for index in np.flatnonzero(done):
                self._given.pop(int(index), None)

    def _receive(self, index: int, part: slice) -> int:
        node = self._nodes[index]
        _, ended = node.receive_head()
        finals = self._finals[:ended]
        buffers = [_bytes(self.head[part]), _bytes(self.views[part])]
        node.receive_into([*buffers, _bytes(finals)] if ended else buffers)
        if ended:
            self.final_views[part][self.head["done"][part] != 0] = finals
        return ended

    def _settle(self) -> None:
        """Finish a step that was begun and not ended."""
        if self._pending is not None:
            self.end_step()

    def _give_up(self) -> None:
        """Forget a step that was begun and not ended: take its answers off the pipes."""
        for index in self._waiting:
            if index not in self._failed:
                # a process found dead here is replaced when it is asked next
                with contextlib.suppress(SimulatorDied):
                    self._receive(index, self._parts[index])
        self._pending, self._waiting = None, []

    def _ask_all(self, operation: int, payload: Callable[[slice], bytes]) -> None:
        """Ask every process for its battles anew; one that turns out to be dead is replaced and asked again."""
        try:
            failed = {}
            for index, part in enumerate(self._parts):
                try:
                    self._nodes[index].send(operation, payload(part))
                except SimulatorDied as died:
                    failed[index] = died
            for index, part in enumerate(self._parts):
                try:
                    if index in failed:
                        raise failed[index]
                    self._receive(index, part)
                except SimulatorDied as died:
                    self._replace(index, died)
                    self._nodes[index].send(operation, payload(part))
                    self._receive(index, part)
        except BaseException:
            # interrupted between question and answer: start afresh next time
            for node in self._nodes:
                node.kill()
            raise

    def _replace(self, index: int, died: SimulatorDied) -> None:
        self.crashes += 1
        part = self._parts[index]
        _log.warning("%s\nit is replaced and its %d battles are replayed", died, part.stop - part.start)
        self._nodes[index].close()
        self._nodes[index] = self._start(part)

    def _revive(self, index: int, died: SimulatorDied) -> None:
        """A new process in the state the dead one had before the current step."""
        self._replace(index, died)
        self._nodes[index].send(REPLAY, self._replay_request(self._parts[index]))
        self._receive(index, self._parts[index])

    def _replay_request(self, part: slice) -> bytes:
        indices = range(part.start, part.stop)
        games = [
            {"number": int(self._games[i]), "steps": int(self._steps[i]), "teams": self._given.get(i)} for i in indices
        ]
        text = json.dumps({"seed": str(self.seed), "games": games}).encode()
        played = b"".join(self._history[i, : self._steps[i]].tobytes() for i in indices)
        return struct.pack("<i", len(text)) + text + played

    def teams(self) -> list[tuple[str, str]]:
        """Both seats' packed teams of each running game."""
        return [self._given.get(index) or self._drawn(index) for index in range(len(self.slots))]

    def _drawn(self, index: int) -> tuple[str, str]:
        seed = int(game_seed(self.seed, self.slots[index], self._games[index]))
        return tuple(side[_splitmix(seed ^ seat) % len(side)] for seat, side in enumerate(self._teams, start=1))

    def choices(self, index: int) -> np.ndarray:
        """Int8 `[T, 2]`: what was chosen so far in the running game of a slot."""
        return self._history[index, : self._steps[index]].copy()

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs: per slot the game's number, steps, choices `[B, T, 2]` and teams (UTF-8, 0-padded)."""
        self._settle()
        texts = [[team.encode() for team in pair] for pair in self.teams()]
        longest = max(len(text) for pair in texts for text in pair)
        packed = b"".join(text.ljust(longest, b"\0") for pair in texts for text in pair)
        return {
            "seed": np.array(self.seed, np.uint64),
            "slots": self.slots.copy(),
            "game": self._games.copy(),
            "steps": self._steps.copy(),
            "choices": self._history[:, : max(int(self._steps.max()), 1)].copy(),
            "teams": np.frombuffer(packed, np.uint8).reshape(len(texts), SEATS, longest).copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Replay each game of a `state` to where it was; `head` then says "running" everywhere."""
        self._give_up()
        if not np.array_equal(state["slots"], self.slots):
            raise ValueError(f"the state is of slots {state['slots'].tolist()}, this batch has {self.slots.tolist()}")
        self.seed = int(state["seed"])
        self._games[:], self._steps[:] = state["game"], state["steps"]
        if state["choices"].shape[1] > self._history.shape[1]:
            self._history = np.zeros((len(self.slots), 2 * state["choices"].shape[1], SEATS), np.int8)
        self._history[:, : state["choices"].shape[1]] = state["choices"]
        self._given.clear()
        for index, pair in enumerate(state["teams"]):
            given = tuple(text.tobytes().rstrip(b"\0").decode() for text in pair)
            if given != self._drawn(index):
                self._given[index] = given
        self._ask_all(REPLAY, self._replay_request)

    def describe(self, index: int) -> dict:
        """The battle of a slot as its referee sees it, for people."""
        self._settle()
        if not 0 <= index < len(self.slots):
            raise IndexError(f"slot {index} of {len(self.slots)}")
        at = next(at for at, part in enumerate(self._parts) if part.start <= index < part.stop)
        request = struct.pack("<i", index - self._parts[at].start)
        try:
            self._nodes[at].send(DESCRIBE, request)
            return json.loads(self._nodes[at].receive_text())
        except SimulatorDied as died:
            head, views = self.head.copy(), self.views.copy()
            self._revive(at, died)
            self.head[:], self.views[:] = head, views
            self._nodes[at].send(DESCRIBE, request)
            return json.loads(self._nodes[at].receive_text())

    def close(self) -> None:
        """End all processes; may be called twice."""
        for node in self._nodes:
            node.close()
        self._nodes = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))


def _splitmix(value: int) -> int:
    """SplitMix64's output function, as in `core.game_seed`; draws teams, here and in `game.mjs`."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
