"""Best responses of an iteration: what each begins from and meets, training several at once, and judging them all.

>>> plans = plan_responses("response-3", mixture, number=2, starts=["runs/2/policy", "fresh"])
>>> team = Responses([PPO(env(), learner(plan), opponents=opponents(plan.opponents), seed=plan.seed) for plan in plans])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from workbench.arena.entrants import Source
from workbench.arena.matches import Matches
from workbench.arena.tournament import play_pairs
from workbench.envs.core import EnvSpec
from workbench.learning.checkpoint import beneath, load_checkpoint, save_checkpoint, under
from workbench.learning.ppo import PPO
from workbench.learning.rollout import CURRENT, FixedOpponents
from workbench.learning.undivided import undivided
from workbench.metagame.anytime import AnytimeOpponents
from workbench.metagame.comparison import difference
from workbench.metagame.iteration import Gain, chosen_mixture, gain_of, opponents
from workbench.metagame.selectors import start_of_selection
from workbench.policies.core import Policy
from workbench.policies.mixture import Mixture
from workbench.policies.registry import find_policy, load_policy
from workbench.policies.settings import PolicySettings

FRESH = "fresh"
Admission = Literal["all", "not worse", "better"]
_KIND = "best responses"


@dataclass(frozen=True)
class Plan:
    """What one response is to be.

    Args:
        id: its name.
        start: the folder or registered name of the policy it begins from; None for fresh weights.
        opponents: whom it trains against.
        seed: of its weights, games and draws.
    """

    id: str
    start: str | None
    opponents: Mixture
    seed: int

    def learner(self, network: PolicySettings, spec: EnvSpec, device="auto") -> Policy:
        """The policy to be trained, as it begins.

        Raises:
            ValueError: the start was made for another env, or is no network.
            KeyError, FileNotFoundError: there is no such policy.
        """
        if self.start is None:
            learner = Policy.create(spec, network, seed=self.seed, device=device)
        else:
            learner = load_policy(self.start, spec, device=device)
        if not isinstance(learner, Policy):
            raise ValueError(
                f"{self.start}: a {type(learner).__name__}, which cannot be trained; a response begins from a saved policy, "
                f"or {FRESH!r}"
            )
        learner.id = self.id
        return learner


def plan_responses(
    name: str,
    mixture: Mixture,
    *,
    spec: EnvSpec,
    number: int = 1,
    starts: Sequence[str] = (),
    places: Sequence[str] = (),
    seed: int = 0,
    generation: int = 0,
) -> list[Plan]:
    """Plans of an iteration's responses.

    Args:
        name: of one; several are called `name-a`, `name-b`, ...
        mixture: whom they train against where `places` says nothing else.
        number: how many, at least; there are as many as there are places.
        starts: where they begin, in turn: folders or registered names, or `"fresh"`, as which none counts too. A
            selection of opponents that says where its response begins (a rectified one) goes before.
        places: folders of mixtures to train against, in turn.
        seed, generation: each response of each generation has a seed of its own, which follows from both.

    Raises:
        ValueError: none is asked for.
    """
    number = max(number, len(places))
    if number < 1:
        raise ValueError(f"number={number}: expected at least 1 response")
    plans = []
    for index in range(number):
        place = places[index % len(places)] if places else None
        start = (start_of_selection(place) if place else None) or (starts[index % len(starts)] if starts else None)
        plans.append(
            Plan(
                name if number == 1 else f"{name}-{_letters(index)}",
                None if start is None or str(start) == FRESH else str(start),
                mixture if place is None else chosen_mixture(place, {}, spec),
                response_seed(seed, generation, index),
            )
        )
    return plans


def response_seed(seed: int, generation: int, index: int) -> int:
    """The seed of an iteration's response, in [0, 2^32)."""
    return int(np.random.SeedSequence((seed, generation, index)).generate_state(1)[0])


def _letters(index: int) -> str:
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")


class Responses:
    """Several policies that learn at once by PPO, an update of each in turn, and are kept in one checkpoint.

    Args:
        trainers: of policies with different ids, each with an env of its own and as many games and steps as the others.

    Raises:
        ValueError: nobody, or two of one id.
    """

    def __init__(self, trainers: Sequence[PPO]):
        self.trainers = {trainer.policy.id: trainer for trainer in trainers}
        if not trainers or len(self.trainers) < len(trainers):
            raise ValueError(
                f"{[trainer.policy.id for trainer in trainers]}: expected at least one, each of its own id"
            )

    @property
    def frames(self) -> int:
        """Steps of the games of each."""
        return min(trainer.frames for trainer in self.trainers.values())

    @property
    def updates(self) -> int:
        return min(trainer.updates for trainer in self.trainers.values())

    @undivided
    def update(self) -> dict[str, float]:
        """One update of each; metrics under PPO's names, where there are several with the policy's id in front.

        Raises:
            FloatingPointError: training has diverged; the last checkpoint stays.
        """
        metrics, behind = {}, self.updates
        for id, trainer in self.trainers.items():
            if trainer.updates > behind:  # the last call was stopped after this one
                continue
            try:
                found = trainer.update()
            except FloatingPointError as error:
                raise FloatingPointError(
                    f"{id}: training has diverged, and nothing of it joins the population: {error}"
                ) from error
            if isinstance(trainer.collector.opponents, AnytimeOpponents):
                trainer.collector.opponents.answer(trainer.rollout.finished)
            metrics |= named_metrics(found, id, alone=len(self.trainers) == 1)
        return metrics

    def save(self, folder: str | Path) -> None:
        """Write all that `restore` needs to end where an uninterrupted run would, bit for bit on a CPU."""
        described, arrays = {}, {}
        for id, trainer in self.trainers.items():
            described[id], mine = trainer.state()
            arrays |= under(id, mine)
        save_checkpoint(folder, _KIND, {"trainers": described}, arrays)

    def restore(self, folder: str | Path) -> None:
        """Go on from a `save`.

        Raises:
            FileNotFoundError: no checkpoint there.
            CorruptFileError: a damaged file, named.
            ValueError: of other responses.
        """
        described, arrays = load_checkpoint(folder, _KIND)
        if described["trainers"].keys() != self.trainers.keys():
            raise ValueError(f"{folder}: saved of {list(described['trainers'])}, here are {list(self.trainers)}")
        self.prepare(min(trainer["counters"]["updates"] for trainer in described["trainers"].values()))
        for id, trainer in self.trainers.items():
            trainer.take_state(described["trainers"][id], beneath(id, arrays), folder)

    def prepare(self, updates: int) -> None:
        """Before a checkpoint of so many updates is taken up."""

    def close(self) -> None:
        """Let go of the envs."""
        for trainer in self.trainers.values():
            trainer.env.close()


def named_metrics(metrics: Mapping[str, float], id: str, *, alone: bool) -> dict[str, float]:
    """Metrics of one of several responses, under its name; as they are where it is alone."""
    return dict(metrics) if alone else {f"{id}/{name}": value for name, value in metrics.items()}


def curves_by_response(rows: Sequence[Mapping], ids: Sequence[str]) -> dict[str, list[dict]]:
    """Rows of `metrics.jsonl` by response: the inverse of `named_metrics`."""
    if len(ids) == 1:
        return {ids[0]: [dict(row) for row in rows]}
    found = {}
    for id in ids:
        start = f"{id}/"
        mine = (
            {name[len(start) :]: row[name] for name in row if name.startswith(start)} | {"step": row["step"]}
            for row in rows
        )
        found[id] = [row for row in mine if len(row) > 1]
    return found


@dataclass(frozen=True)
class Judged:
    """A response after its held-out games.

    Args:
        id: its name.
        before, after: what it earned against the mixture as it began, and as it is.
        let_in: whether it joins the population.
        why: in words.
    """

    id: str
    before: Gain
    after: Gain
    let_in: bool
    why: str


def hold_out(
    env_name: str,
    responses: Mapping[str, Source],
    starts: Mapping[str, Source],
    mixture: Mixture,
    *,
    games: int,
    folder: str | Path | None = None,
    **options,
) -> Matches:
    """Held-out games of every response, and of what each was when it began, against the mixture.

    Args:
        responses, starts: by the response's id.
        games: of each; their seed must not be the training's.
        options: for `workbench.arena.play_pairs`.
    """
    field = {**responses, **{_before(id): start for id, start in starts.items()}, mixture.id: mixture}
    pairs = {(id, mixture.id): games for id in field if id != mixture.id}
    return play_pairs(env_name, field, pairs, folder=folder, **options)


def judge(matches: Matches, responses: Sequence[str], mixture: str, admit: Admission = "all") -> list[Judged]:
    """What held-out games say of each response, and whether it is let in.

    Args:
        matches: of `hold_out`.
        admit: `"all"`; those that are `"not worse"` than the mixture (the interval does not lie below 0); those that are
            `"better"` (it lies above 0).
    """
    if admit not in ("all", "not worse", "better"):
        raise ValueError(f"admit={admit!r}: expected 'all', 'not worse' or 'better'")
    judged = []
    for id in responses:
        before, after = (gain_of(matches, player, mixture) for player in (_before(id), id))
        _, low, high = difference(tuple(after[1:]), tuple(before[1:]))
        won, lost = after.low > 0, after.high < 0
        said = "it beats the mixture" if won else "it loses to the mixture" if lost else "no better than even play"
        if high < 0:
            said += ", and worse than it began"
        elif low <= 0:
            said += "; what it learned does not show: it began no worse"
        let_in = admit == "all" or (won if admit == "better" else not lost)
        if let_in and not won:
            said += "; let in nevertheless"
        elif not let_in:
            said += f"; not let in (admit={admit!r})"
        judged.append(Judged(id, before, after, let_in, said))
    return judged


def judged_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """A row a response: `response`, `games`, `before`, `after` with `low` and `high`, `let in`, `why`."""
    return pd.DataFrame(
        [
            {
                "response": one.id,
                "games": one.after.games,
                "before": one.before.mean,
                "after": one.after.mean,
                "low": one.after.low,
                "high": one.after.high,
                "let in": one.let_in,
                "why": one.why,
            }
            for one in judged
        ]
    )


def plans_table(plans: Sequence[Plan]) -> pd.DataFrame:
    """A row a response: its name, where it begins, whom it trains against, its seed."""
    return pd.DataFrame(
        [
            {
                "response": plan.id,
                "begins from": "fresh weights" if plan.start is None else find_policy(plan.start)[0],
                "trains against": f"{plan.opponents.id}: "
                + ", ".join(f"{id} {share}" for id, share in plan.opponents.describe().items()),
                "seed": plan.seed,
            }
            for plan in plans
        ]
    )


def training_opponents(
    mixture: Mixture, *, anytime: bool = False, updates: int = 0, self_play: float = 0.0
) -> FixedOpponents:
    """A mixture's members by its shares, which move while the response learns where it is `anytime`.

    Args:
        updates: of the training, where it is `anytime`.
        self_play: share of the games in which the response plays itself, as it is: who knows the mixture alone is
            beaten by whatever the mixture does not do.

    Raises:
        ValueError: a share that is not in [0, 1), or one of opponents whose shares move.
    """
    if not 0 <= self_play < 1 or (anytime and self_play):
        raise ValueError(f"self_play={self_play}, anytime={anytime}: expected a share in [0, 1), and 0 with anytime")
    if anytime:
        return AnytimeOpponents(mixture, updates)
    if not self_play:
        return opponents(mixture)
    return FixedOpponents([*mixture.members, CURRENT], [*((1 - self_play) * mixture.weights), self_play])


def _before(id: str) -> str:
    return f"{id}, before"
