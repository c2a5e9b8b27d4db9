"""Pipelined PSRO: responses of several iterations learn at once, each against what those before it have become so far.

Level 1 trains against the mixture over the population. Level j trains against the equilibrium of the population and the
j - 1 unfinished levels below it, as these stand at their last meeting. After an iteration's training level 1 is finished
and joins the population; the others go on in the next iteration, one level lower, and a fresh one begins at the top.

The form is the simplest that is faithful to the source: there a level is finished when it improves no more, here after an
iteration's frames; there levels train in processes of their own, here in turns.

Source: McAleer et al. 2020, "Pipeline PSRO", arXiv 2006.08555, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.arena.entrants import Source
from workbench.learning.ppo import PPO
from workbench.learning.rollout import Collector
from workbench.learning.undivided import undivided
from workbench.metagame.analysis import equilibrium
from workbench.metagame.growth import play_population
from workbench.metagame.iteration import mixture, opponents
from workbench.metagame.payoffs import EmpiricalGame
from workbench.metagame.responses import Plan, Responses, response_seed
from workbench.policies.mixture import Mixture

_SAVED = "levels"


def plan_levels(
    name: str, mixture: Mixture, levels: int, unfinished: Sequence[str] = (), *, seed: int = 0, generation: int = 0
) -> list[Plan]:
    """Plans of an iteration's levels, the lowest first: `name`, `name+1`, ...

    Args:
        name: of the level that is finished in this iteration.
        mixture: whom it trains against.
        unfinished: the policies that the iteration before has left unfinished, the lowest first; they go on a level lower.
        seed, generation: as of `plan_responses`.

    Raises:
        ValueError: fewer than two levels, or as many unfinished ones.
    """
    if levels < 2 or len(unfinished) >= levels:
        raise ValueError(
            f"levels={levels}, {len(unfinished)} unfinished: expected at least 2 levels, and a fresh one at the top"
        )
    starts = [*map(str, unfinished), *[None] * (levels - len(unfinished))]
    return [
        Plan(f"{name}+{index}" if index else name, start, mixture, response_seed(seed, generation, index))
        for index, start in enumerate(starts)
    ]


class Pipeline(Responses):
    """Levels of responses, the lowest first, that meet the population every so many updates.

    Args:
        trainers: of the levels; those above the first get their opponents here.
        population: policies by id.
        env_name: of all.
        meet_every: updates between two meetings.
        folder: keeps the games of meetings and the mixtures they lead to.
        earlier: a folder of the population's games, as `play_population` leaves it; pairs it holds are not played again.
        method: the meta-solver.
        seed: of the meetings' games.
        options: for `play_population`: `games_per_pair`, and what `round_robin` takes.

    Raises:
        ValueError: a level with the id of a member of the population.
    """

    def __init__(
        self,
        trainers: Sequence[PPO],
        population: Mapping[str, Source],
        env_name: str,
        *,
        meet_every: int,
        folder: str | Path,
        earlier: str | Path | None = None,
        method: str = "nash",
        seed: int = 0,
        **options,
    ):
        super().__init__(trainers)
        both = sorted(self.trainers.keys() & population.keys())
        if both or meet_every < 1:
            raise ValueError(f"levels {both} are in the population too, or meet_every={meet_every} is below 1")
        self.population, self.env_name, self.meet_every = dict(population), env_name, meet_every
        self.folder, self.earlier, self.method, self.seed, self.options = Path(folder), earlier, method, seed, options
        self.spec = next(iter(self.trainers.values())).env.spec

    @undivided
    def update(self) -> dict[str, float]:
        """One update of each level; before it a meeting, where one is due."""
        if self.updates % self.meet_every == 0:
            self._meet(self.updates // self.meet_every)
        return super().update()

    def prepare(self, updates: int) -> None:
        """Before a checkpoint of so many updates is taken up: everybody faces who it faced then."""
        if updates:
            self._face((updates - 1) // self.meet_every)

    def _meet(self, number: int) -> None:
        """Play the levels, as they are now, against the population and each other, and find whom each trains against."""
        levels = {id: trainer.policy.frozen_copy(id) for id, trainer in list(self.trainers.items())[:-1]}
        if not levels:
            return
        everybody = {**self.population, **levels}
        place = self.folder / f"{number:03d}"
        earlier = self.folder / f"{number - 1:03d}" / "matches" if number else self.earlier
        matches = play_population(
            self.env_name, everybody, folder=place / "matches", earlier=earlier, seed=self.seed, **self.options
        )
        for index in range(1, len(self.trainers)):
            below = [*self.population, *list(levels)[:index]]
            found = equilibrium(EmpiricalGame.of(matches, below), method=self.method, bootstraps=0)
            mixture(f"below-level-{index + 1}", everybody, found, self.spec).save(place / _SAVED / f"{index}")
        self._face(number)

    def _face(self, number: int) -> None:
        """Give every level above the first the opponents of that meeting; their games begin anew."""
        for index, trainer in enumerate(self.trainers.values()):
            if index:
                place = self.folder / f"{number:03d}" / _SAVED / f"{index}"
                faced: Mixture = Mixture.load(place, self.spec, trainer.policy.device)
                trainer.collector = Collector(
                    trainer.env, trainer.policy, trainer.settings.steps, trainer.generator, opponents(faced),
                    seed=self.seed + len(self.trainers) * number + index,
                )  # fmt: skip
