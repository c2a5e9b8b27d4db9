"""Collecting experience: the learner plays itself and a pool of opponents in a batch of games."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from workbench.envs.core import SEATS, Env
from workbench.envs.players import Player
from workbench.learning.checkpoint import beneath, under
from workbench.policies.core import Policy
from workbench.policies.encoders import Inputs

CURRENT = "current"


class Opponents(Protocol):
    """Whom the learner meets. Members never change once they are in; `"current"` is the learner itself."""

    def draw(self, count: int, generator: np.random.Generator) -> list[str]:
        """Opponents' ids for `count` games that begin."""

    def player(self, member_id: str) -> Player:
        """The member, not `"current"`."""

    def record(self, member_id: str, score: float) -> None:
        """A game against the member ended; the learner scored 1, .5 or 0."""

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON-able description and arrays."""

    def restore(self, described: dict, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state` gave."""


class SelfOnly:
    """Every game is the learner against itself."""

    def draw(self, count, generator):
        return [CURRENT] * count

    def player(self, member_id):
        raise KeyError(f"no opponent {member_id!r}: this learner plays itself only")

    def record(self, member_id, score):
        raise KeyError(f"no opponent {member_id!r}: this learner plays itself only")

    def state(self):
        return {}, {}

    def restore(self, described, arrays):
        pass


class FixedOpponents:
    """Members of a given list, drawn anew for each game.

    Args:
        players: may hold the literal `"current"`.
        weights: how likely each is drawn, all alike by default; the members of a mixture with its weights are the mixture.

    Raises:
        ValueError: weights that are no distribution over the players.
    """

    def __init__(self, players: Sequence[Player | str], weights: Sequence[float] | None = None):
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        if self.weights is not None and (
            self.weights.shape != (len(players),) or (self.weights < 0).any() or abs(self.weights.sum() - 1) > 1e-6
        ):
            raise ValueError(f"weights={weights}: expected one a player, at least 0, summing to 1")
        self.members = {CURRENT if isinstance(player, str) else player.id: player for player in players}
        self.scores = {member: [0.0, 0] for member in self.members}

    def draw(self, count, generator):
        names = list(self.members)
        if self.weights is None:
            return [names[index] for index in generator.integers(len(names), size=count)]
        return [names[index] for index in generator.choice(len(names), count, p=self.weights / self.weights.sum())]

    def player(self, member_id):
        return self.members[member_id]

    def record(self, member_id, score):
        self.scores[member_id][0] += score
        self.scores[member_id][1] += 1

    def state(self):
        return {"scores": self.scores}, {}

    def restore(self, described, arrays):
        self.scores = {member: list(score) for member, score in described["scores"].items()}


class Finished(NamedTuple):
    """A game that ended while collecting: its opponent's id, the learner's score (1, .5, 0; NaN against itself),
    its length in steps, and the learner's summed reward (of seat 0 against itself)."""

    opponent: str
    score: float
    length: int
    reward: float


class Rollout(NamedTuple):
    """T steps of R rows, a row being one seat of one game. Arrays are overwritten by the next collection.

    Args:
        inputs: observations laid flat, `[T, R, ...]`.
        options: bool `[T, R, L]` legal options, None where everything was legal throughout.
        action: int64 `[T, R, H]`.
        log_prob, value: float32 `[T, R]` under the policy that collected.
        deciding: bool `[T, R]` the learner decided here; elsewhere the arrays above mean nothing.
        reset: bool `[T, R]` a game began here.
        reward: float32 `[T, R]` delivered by the step taken at t.
        ended: bool `[T, R]` the game was over after the step at t.
        end_value: float32 `[T, R]` value of the last state of a game that was cut, 0 after a real end.
        state: float32 `[R, S]` recurrent state before the first step.
        in_turns: a seat of a game under way had to wait for the other at some step.
        last_value: float32 `[R]` value of the state after the last step, where `last_deciding`, bool `[R]`.
        finished: games that ended.
        frames: env steps taken, summed over games.
    """

    inputs: Inputs
    options: np.ndarray | None
    action: np.ndarray
    log_prob: np.ndarray
    value: np.ndarray
    deciding: np.ndarray
    reset: np.ndarray
    reward: np.ndarray
    ended: np.ndarray
    end_value: np.ndarray
    state: np.ndarray
    in_turns: bool
    last_value: np.ndarray
    last_deciding: np.ndarray
    finished: list[Finished]
    frames: int


def seats_that_act(env: Env, seed: int = 0, steps: int = 64) -> tuple[int, ...]:
    """The seats that ever decide, found by playing at random; leaves the env in need of a `reset`."""
    generator, now = np.random.default_rng(0), env.reset(seed)
    acted = now.acting.any(axis=0)
    for _ in range(steps):
        if acted.all():
            break
        now = env.step(
            np.stack([np.where(allowed, generator.random(allowed.shape), -1).argmax(-1) for allowed in now.legal], -1)
        )
        acted |= now.acting.any(axis=0)
    return tuple(np.flatnonzero(acted).tolist())


class Collector:
    """Plays `env` with `policy` and gathers rollouts of `steps` steps.

    Each game's opponent and the learner's seat are drawn when the game begins and stay to its end; recurrent states
    begin at zero with each game. Against itself the learner learns from both seats. A seat that never acts, as in a
    single agent's env, has no rows.

    Args:
        env: reset here with `seed`.
        generator: the only source of randomness.
    """

    def __init__(
        self, env: Env, policy: Policy, steps: int, generator: np.random.Generator, opponents=None, seed: int = 0
    ):
        self.env, self.policy, self.steps, self.generator = env, policy, steps, generator
        self.opponents: Opponents = opponents or SelfOnly()
        self.seats = seats_that_act(env, seed)
        if len(self.seats) < SEATS and opponents is not None:
            raise ValueError(f"{env.spec.name} is played from one seat; it cannot have opponents")
        games, layout = env.batch_size, policy.layout
        rows = games * len(self.seats)
        shape = (steps, rows)
        self._numbers = np.zeros((*shape, layout.number_width), np.float32)
        self._tokens = np.zeros((*shape, layout.token_width), layout.token_type)
        self._options = np.ones((*shape, layout.option_width), bool)
        self._masked = np.zeros(steps, bool)
        self._action = np.zeros((*shape, len(layout.sizes)), np.int64)
        self._log_prob, self._value, self._reward, self._end_value = (np.zeros(shape, np.float32) for _ in range(4))
        self._deciding, self._reset, self._ended = (np.zeros(shape, bool) for _ in range(3))
        self._actions = np.zeros((games, SEATS, len(layout.sizes)), np.int64)
        self._seat_columns = slice(None) if len(self.seats) == SEATS else slice(self.seats[0], self.seats[0] + 1)
        self._state = policy.initial_state(rows)
        self._began, self._any_began = np.ones(games, bool), True
        self._earned = np.zeros(rows, np.float64)
        # per game: index of its opponent's id in `_ids`, the learner's seat; per row: whether the learner controls it
        self._ids = [CURRENT]
        self._opponent, self._seat = np.zeros(games, np.int64), np.full(games, self.seats[0])
        self._controls = np.ones((games, len(self.seats)), bool)
        self._opponent_state: dict[str, np.ndarray] = {}
        self._now = env.reset(seed)
        self._assign(np.arange(games))

    def collect(self) -> Rollout:
        """Play on for T steps."""
        start = self._state.copy()
        finished: list[Finished] = []
        all_legal, in_turns = True, False
        for t in range(self.steps):
            in_turns |= not self._now.acting[:, self._seat_columns].all()
            all_legal &= self._decide(t)
            self._now = self.env.step(self._actions)
            self._receive(t, finished)
        last_value, last_deciding = self._peek()
        return Rollout(
            Inputs(self._numbers, self._tokens), None if all_legal else self._options, self._action, self._log_prob,
            self._value, self._deciding, self._reset, self._reward, self._ended, self._end_value, start, in_turns,
            last_value, last_deciding, finished, self.steps * self.env.batch_size,
        )  # fmt: skip

    def _decide(self, t: int) -> bool:
        """Fill `_actions`; whether everything was legal for the learner's rows."""
        now, policy, rows = self._now, self.policy, len(self._state)
        if len(self.seats) < SEATS and now.acting[:, 1 - self.seats[0]].any():
            raise RuntimeError(f"{self.env.spec.name}: seat {1 - self.seats[0]} acts, but never did while probed")
        self._reset[t] = self._began if len(self.seats) == 1 else np.repeat(self._began, SEATS)
        if self._any_began:
            self._state[self._reset[t]] = 0.0
            self._earned[self._reset[t]] = 0.0
        deciding = self._deciding[t]
        deciding[:] = (now.acting[:, self._seat_columns] & self._controls).reshape(rows)
        numbers, tokens = self._numbers[t], self._tokens[t]
        policy.layout.write(self._seen(now.observation), numbers, tokens)
        legal = [allowed[:, self._seat_columns] for allowed in now.legal]
        if deciding.all():
            options = policy.layout.options(legal, rows)
            decision = policy.act_on(Inputs(numbers, tokens), options, self._state, 1.0, self.generator)
            self._action[t], self._log_prob[t], self._value[t], self._state = decision
        else:
            who = np.flatnonzero(deciding)
            legal = [allowed.reshape(rows, -1) for allowed in legal]
            options = policy.layout.options([allowed[who] for allowed in legal], len(who))
            if len(who):
                decision = policy.act_on(
                    Inputs(numbers[who], tokens[who]), options, self._state[who], 1.0, self.generator
                )
                self._action[t, who], self._log_prob[t, who], self._value[t, who] = decision[:3]
                self._state[who] = decision.state
        # where all is legal for whoever decides no mask is needed, unless another step of the rollout needs one
        if options is not None and len(options) == rows:
            self._options[t] = options
        elif options is not None:
            self._options[t] = np.concatenate(legal, axis=1)
        elif self._masked[t]:
            self._options[t] = True
        self._masked[t] = options is not None
        self._actions[:, self._seat_columns] = self._action[t].reshape(self._actions[:, self._seat_columns].shape)
        for member in [*self._opponent_state]:
            self._decide_for(member)
        return options is None

    def _decide_for(self, member: str) -> None:
        now, seat = self._now, 1 - self._seat
        games = np.flatnonzero(self._opponent == self._ids.index(member))
        games = games[now.acting[games, seat[games]]]
        if not len(games):
            return
        seat = seat[games]
        observation = {name: array[games, seat] for name, array in now.observation.items()}
        legal = tuple(allowed[games, seat] for allowed in now.legal)
        state = self._opponent_state[member]
        decision = self.opponents.player(member).act(observation, legal, state[games], 1.0, self.generator)
        self._actions[games, seat] = decision.action
        state[games] = decision.state

    def _receive(self, t: int, finished: list[Finished]) -> None:
        """Take in what the step brought, and begin new games where some ended."""
        now, rows = self._now, len(self._state)
        self._reward[t] = now.reward[:, self._seat_columns].reshape(rows)
        self._earned += self._reward[t]
        done = self._began = now.terminated | now.truncated
        self._any_began = bool(done.any())
        self._ended[t] = done if len(self.seats) == 1 else np.repeat(done, SEATS)
        if not self._any_began:
            return
        self._end_value[t] = 0.0
        cut = np.repeat(now.truncated, len(self.seats)) & self._controls.reshape(rows)
        if cut.any():
            who = np.flatnonzero(cut)
            inputs = self._inputs(now.final_observation, rows)
            self._end_value[t, who] = self.policy.value_of(Inputs(*(part[who] for part in inputs)), self._state[who])
        games = np.flatnonzero(done)
        earned = self._earned.reshape(len(done), -1)
        for game in games.tolist():
            member = self._ids[self._opponent[game]]
            score = np.nan
            if member != CURRENT:
                score = float(now.outcome[game] * (1 - 2 * self._seat[game]) + 1) / 2
                self.opponents.record(member, score)
            column = self._seat[game] if len(self.seats) == SEATS else 0
            finished.append(Finished(member, score, int(now.length[game]), float(earned[game, column])))
        self._assign(games)

    def _assign(self, games: np.ndarray) -> None:
        """Draw opponents and seats of games that begin."""
        if isinstance(self.opponents, SelfOnly):
            return
        ids = self.opponents.draw(len(games), self.generator)
        self._seat[games] = self.generator.integers(SEATS, size=len(games))
        for game, member in zip(games.tolist(), ids, strict=True):
            if member not in self._ids:
                self._ids.append(member)
            self._opponent[game] = self._ids.index(member)
            if member != CURRENT:
                if member not in self._opponent_state:
                    self._opponent_state[member] = self.opponents.player(member).initial_state(self.env.batch_size)
                self._opponent_state[member][game] = 0.0
        # members no game is played against any more are let go
        used = sorted({0, *self._opponent.tolist()})
        self._opponent = np.searchsorted(used, self._opponent)
        self._ids = [self._ids[index] for index in used]
        self._opponent_state = {member: self._opponent_state[member] for member in self._ids[1:]}
        itself = self._opponent == 0
        self._seat[itself] = 0
        self._controls = itself[:, None] | (self._seat[:, None] == np.arange(SEATS))

    def _peek(self):
        """Value of the state after the rollout, and where the learner decides there."""
        now, rows = self._now, len(self._state)
        deciding = (now.acting[:, self._seat_columns] & self._controls).reshape(rows)
        state = self._state
        if self.policy.state_size and self._any_began:
            state = np.where(np.repeat(self._began, len(self.seats))[:, None], np.float32(0), state)
        return self.policy.value_of(self._inputs(now.observation, rows), state), deciding

    def _inputs(self, observation, rows) -> Inputs:
        return self.policy.layout.inputs(self._seen(observation), rows)

    def _seen(self, observation):
        """What the learner's seats see."""
        if len(self.seats) == SEATS:
            return observation
        return {name: array[:, self._seat_columns] for name, array in observation.items()}

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Everything `restore` needs to go on between two rollouts, bit for bit."""
        described, arrays = self.opponents.state()
        arrays = {
            **under("opponents", arrays),
            **under("env", self.env.state()),
            **under("opponent_state", {str(index): state for index, state in enumerate(self._opponent_state.values())}),
            "state": self._state,
            "began": self._began,
            "earned": self._earned,
            "opponent": self._opponent,
            "seat": self._seat,
            "controls": self._controls,
        }
        kept = {"kind": type(self.opponents).__name__, "state": described}
        return {"ids": self._ids, "opponents": kept, "random": self.generator.bit_generator.state}, arrays

    def restore(self, described: dict, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a `state`.

        Raises:
            ValueError: it was played against another kind of opponents.
        """
        opponents, mine = described["opponents"], type(self.opponents).__name__
        if opponents["kind"] != mine:
            raise ValueError(f"saved while playing against {opponents['kind']}, this trainer has {mine}")
        self.opponents.restore(opponents["state"], beneath("opponents", arrays))
        self._now = self.env.restore(beneath("env", arrays))
        self.generator.bit_generator.state = described["random"]
        self._ids = list(described["ids"])
        kept = beneath("opponent_state", arrays)
        self._opponent_state = {member: kept[str(index)].copy() for index, member in enumerate(self._ids[1:])}
        for name in ("state", "began", "earned", "opponent", "seat", "controls"):
            setattr(self, f"_{name}", arrays[name].copy())
        self._any_began = bool(self._began.any())
