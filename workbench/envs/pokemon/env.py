"""`gen1ou`: Pokémon of generation 1, OU rules, on Pokémon Showdown's own simulator.

>>> with Gen1OUEnv(batch_size=64, processes=2) as env:
...     timestep = env.reset(seed=1)

A step is one decision: usually of both seats, after a faint of one alone, while the other waits.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from workbench.envs.core import SEATS, Env, EnvSpec, TimeStep
from workbench.envs.pokemon import actions as action_space
from workbench.envs.pokemon import dex, reference
from workbench.envs.pokemon import observation as observation_space
from workbench.envs.pokemon import teams as team_sets
from workbench.envs.pokemon.bridge import TERMINATED, TRUNCATED, Simulators
from workbench.envs.pokemon.render import render_battle
from workbench.envs.pokemon.reward import Reward, evaluate, preset
from workbench.envs.pokemon.view import ACTIONS, MOVES_EACH, TEAM, VIEW_SIZE

AUTO_TIE = 1000  # Showdown ends any battle after this turn

SPEC = EnvSpec(
    name="gen1ou",
    version=1,
    observation=observation_space.SPEC,
    action=action_space.SPEC,
    end_reasons=("all fainted", "auto-tie", "turn limit"),
)


class Gen1OUEnv(Env):
    """Gen 1 OU battles in Node processes.

    Args:
        batch_size: battles at once; 32 to 64 a process are best.
        processes: Node processes, by default one for every 64 battles begun, at most the batch's size.
        teams: a set's name or a folder (see `teams.load`), a list of teams in Showdown's packed format (played as they
            are, without Showdown's validator), or a pair of such, one a seat. Each game draws both teams from its seed.
        turn_limit: games are cut when their turn counter passes it; at 1,000 Showdown itself declares a tie.
        reward: a preset's name ("shaped", "aggressive", "binary"), by which a victory pays about 1, or weights.
        reward_scale: replaces the reward's own scale; 1 pays what Metamon pays, 100 for a victory.
        first_slot: number of the batch's first slot; two envs of 32 from slot 0 and 32 play what one of 64 plays.
        timeout: seconds without an answer after which a Node process counts as dead, is replaced and brought up to date.

    Attributes:
        view: int16 `[B, 2, V]` (see `view`), valid with the current time step.
        final_view: the same of games that ended in the step, valid where done.

    `step` may be split into `step_begin`, which returns while the battles are played, and `step_end`, so that a caller
    with two envs decides for one while the other plays.
    """

    spec = SPEC

    def __init__(
        self,
        batch_size: int = 64,
        *,
        processes: int | None = None,
        teams: str | Sequence[str] | tuple = "competitive",
        turn_limit: int = AUTO_TIE,
        reward: str | Reward = "shaped",
        reward_scale: float | None = None,
        first_slot: int = 0,
        timeout: float = 60.0,
    ):
        if batch_size < 1:
            raise ValueError(f"gen1ou: batch_size is {batch_size}, expected at least 1")
        if not 1 <= turn_limit <= AUTO_TIE:
            raise ValueError(f"gen1ou: turn_limit is {turn_limit}, expected 1 to {AUTO_TIE}")
        self.batch_size = batch_size
        self.reward_weights = preset(reward, reward_scale)
        self._simulators = Simulators(
            np.arange(first_slot, first_slot + batch_size),
            _both_seats(teams),
            processes=min(processes or -(-batch_size // 64), batch_size),
            turn_limit=turn_limit,
            timeout=timeout,
        )
        self.view, self.final_view = self._simulators.views, self._simulators.final_views
        self._observation = observation_space.allocate((batch_size, SEATS))
        self._final = observation_space.allocate((batch_size, SEATS))
        self._decided = np.zeros((batch_size, SEATS, VIEW_SIZE), np.int16)  # each seat's view at its last decision
        self._legal = np.zeros((batch_size, SEATS, ACTIONS), bool)
        self._acting = np.zeros((batch_size, SEATS), bool)
        self._reward = np.zeros((batch_size, SEATS), np.float32)
        self._begun = False

    @property
    def crashes(self) -> int:
        """Node processes that died and were replaced."""
        return self._simulators.crashes

    @property
    def pids(self) -> list[int]:
        """Process ids of the Node processes."""
        return self._simulators.pids

    def reset(self, seed: int = 0) -> TimeStep:
        self._simulators.reset(seed)
        self._begun = True
        self._reward[:] = 0
        self._decided[:] = self.view
        return self._observe()

    def step(self, actions: np.ndarray) -> TimeStep:
        self.step_begin(actions)
        return self.step_end()

    def step_begin(self, actions: np.ndarray) -> None:
        """Send int `[B, 2, 1]` actions; the battles are played while the caller does something else.

        Raises:
            ValueError: an action that is not legal.
            RuntimeError: before the first `reset`.
        """
        if not self._begun:
            raise RuntimeError("gen1ou: step before reset; call reset(seed) first")
        self._simulators.begin_step(action_space.choices(self.view, np.asarray(actions)[:, :, 0]))

    def step_end(self) -> TimeStep:
        """What the step that `step_begin` began led to."""
        ended = self._simulators.end_step()
        done = self._simulators.head["done"] != 0
        acting = action_space.acting(self.view)
        self._reward[:] = 0
        paid = acting & ~done[:, None]
        self._reward[paid] = evaluate(self.reward_weights, self._decided[paid], self.view[paid])
        if ended:
            self._reward[done] = evaluate(self.reward_weights, self._decided[done], self.final_view[done])
            for name, part in observation_space.encode(self.final_view[done]).items():
                self._final[name][done] = part
        fresh = acting | done[:, None]
        self._decided[fresh] = self.view[fresh]
        return self._observe()

    def _observe(self) -> TimeStep:
        head = self._simulators.head
        observation_space.encode(self.view, self._observation)
        self._legal[:] = action_space.legal(self.view)
        self._acting[:] = action_space.acting(self.view)
        done = head["done"]
        return TimeStep(
            observation=self._observation,
            legal=(self._legal,),
            acting=self._acting,
            reward=self._reward,
            terminated=done == TERMINATED,
            truncated=done == TRUNCATED,
            outcome=head["outcome"].astype(np.int8),
            length=head["length"].astype(np.int32),
            end_reason=head["end_reason"].astype(np.int8),
            game_seed=head["seed"].copy(),
            final_observation=self._final if done.any() else None,
        )

    def state(self) -> dict[str, np.ndarray]:
        simulators = self._simulators
        return simulators.state() | {
            "reward": self._reward.copy(),
            "decided": self._decided.copy(),
            "final_view": self.final_view.copy(),
            **{name: simulators.head[name].copy() for name in ("done", "outcome", "length", "end_reason")},
        }

    def restore(self, state: dict[str, np.ndarray]) -> TimeStep:
        self._simulators.restore(state)
        self._begun = True
        self._reward[:] = state["reward"]
        self._decided[:] = state["decided"]
        self.final_view[:] = state["final_view"]
        for name in ("done", "outcome", "length", "end_reason"):
            self._simulators.head[name] = state[name]
        ended = state["done"] != 0
        for name, part in observation_space.encode(self.final_view[ended]).items():
            self._final[name][ended] = part
        return self._observe()

    def teams(self) -> list[tuple[str, str]]:
        """Both seats' teams of each running game, in Showdown's packed format."""
        return self._simulators.teams()

    def describe(self, slot: int) -> dict:
        """The battle in a slot as its referee sees it: hidden information included, for people only."""
        return self._simulators.describe(slot)

    def render_text(self, slot: int = 0) -> str:
        """The battle in a slot as a few lines of text, both sides in full."""
        return render_battle(self.describe(slot))

    def battle_log(self, slot: int = 0) -> str:
        """The running game of a slot so far, in the protocol of Showdown's replays: hidden information included."""
        simulators = self._simulators
        return reference.battle_log(
            simulators.head["seed"][slot], simulators.teams()[slot], simulators.choices(slot).tolist()
        )

    def _repr_html_(self) -> str:
        text = self.render_text(0) if self._begun else "not begun: call reset(seed)"
        return f"<pre>gen1ou, {self.batch_size} battles; slot 0:\n{html.escape(text)}</pre>"

    def close(self) -> None:
        self._simulators.close()


def _both_seats(teams) -> tuple[list[str], list[str]]:
    """Packed teams of each seat from what a user may give."""
    if isinstance(teams, tuple) and len(teams) == SEATS:
        return tuple(_packed(side) for side in teams)
    side = _packed(teams)
    return side, side


def _packed(teams) -> list[str]:
    """Packed teams from a set's name, a folder, or a list; only sets and folders were judged by the validator."""
    found = team_sets.load(teams) if isinstance(teams, str) or hasattr(teams, "__fspath__") else teams
    packed = [getattr(team, "packed", team) for team in found]
    if not packed or not all(
        isinstance(team, str) and all(member.count("|") >= 4 for member in team.split("]")) for team in packed
    ):
        raise ValueError(
            f"gen1ou: teams must be a set's name, a folder, or packed teams like 'Tauros|||…'; got {teams!r}"
        )
    for team in packed:
        members = [member.split("|") for member in team.split("]")]
        unknown = [member[1] or member[0] for member in members if _id(member[1] or member[0]) not in dex.SPECIES_TOKEN]
        moves = [[move for move in member[4].split(",") if move] for member in members]
        unknown += [move for its in moves for move in its if _id(move) not in dex.MOVE_TOKEN]
        if unknown or len(members) > TEAM or not all(1 <= len(its) <= MOVES_EACH for its in moves):
            raise ValueError(
                f"gen1ou: a team has {len(members)} Pokémon with {[len(its) for its in moves]} moves and, unknown to "
                f"generation 1, {unknown}; expected at most {TEAM} with 1 to {MOVES_EACH} each: {team}"
            )
    return packed


def _id(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
