"""The same frames spent in several ways, for comparison: a learner with a population of some mode, and a league."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from workbench.arena.entrants import Source, entrants
from workbench.arena.league import League, LeagueSettings, agent_names
from workbench.arena.league_roles import MAIN, Role
from workbench.arena.matches import Matches
from workbench.arena.population import Population, PopulationSettings
from workbench.envs.core import Env
from workbench.learning.damping import Damping
from workbench.learning.ppo import PPO, PPOSettings
from workbench.learning.undivided import undivided
from workbench.policies.core import Policy

LEAGUE = "league"


class SelfPlay:
    """One learner and its population, with the face of a trainer, as a `League` has: what `run_trial` asks for.

    Args:
        ppo: its opponents are the population.
        population: gets a frozen copy of the learner every so many frames.
        every: env steps between two of them.
    """

    def __init__(self, ppo: PPO, population: Population, every: int):
        self.ppo, self.population, self.every = ppo, population, every

    @property
    def frames(self) -> int:
        return self.ppo.frames

    @property
    def updates(self) -> int:
        return self.ppo.updates

    @property
    def policy(self) -> Policy:
        return self.ppo.policy

    def players(self) -> dict[str, Policy]:
        """The snapshots that may be met, and the learner as it is, by id."""
        return {id: self.population.player(id) for id in self.population.snapshots} | {self.policy.id: self.policy}

    @undivided
    def update(self) -> dict[str, float]:
        """One update, and a snapshot where it is time; what both say."""
        before = self.frames
        learned = self.ppo.update()
        if self.frames // self.every > before // self.every:
            self.population.add_snapshot(self.policy, f"v{self.updates}")
        return learned | self.population.metrics()

    def save(self, folder: str | Path) -> None:
        self.ppo.save(folder)

    def restore(self, folder: str | Path) -> None:
        self.ppo.restore(folder)

    def close(self) -> None:
        self.ppo.env.close()


def arm(
    name: str,
    make: Callable[[], Env],
    create: Callable[[int], Policy],
    settings: PPOSettings,
    *,
    roles: Mapping[str, Role],
    agents: Mapping[str, int],
    population: PopulationSettings,
    league: LeagueSettings,
    scripted: Sequence[str] = (),
    damping: str = "baseline",
    seed: int = 0,
) -> SelfPlay | League:
    """A trainer by the name of its arm; all arms of a seed begin with the same weights of who they are for.

    Args:
        name: `"league"`, or a mode of `PopulationSettings`.
        make: makes an env.
        create: makes the policy that an agent begins as, from its number; 0 is the learner's, or the first main agent's.
        settings: of PPO; `total_frames` are those of the whole arm.
        roles: of the league; the main agents' `every` is how often a learner with a population is copied into it, too.
        agents: how many of each role the league has.
        population, league: settings of either; the mode is put in.
        scripted: players that every arm meets.
        damping: preset by which every learner is held to the policy that it begins as; `"baseline"`: not at all.
        seed: of everything but the weights.
    """
    if name == LEAGUE:
        names = agent_names(**{role: agents[role] for role in sorted(agents, key=lambda one: one != MAIN)})
        begins = {id: (role, create(number)) for number, (id, role) in enumerate(names.items())}
        return League(make, begins, settings, roles=roles, league=league, scripted=scripted, damping=damping, seed=seed)
    env, policy = make(), create(0)
    pool = Population(replace(population, mode=name), scripted=scripted, random=None, spec=env.spec)
    held = Damping.named(damping, policy)
    return SelfPlay(PPO(env, policy, settings, opponents=pool, seed=seed, damping=held), pool, roles[MAIN].every)


def outsiders(players: Sequence[Source], taken: Collection[str]) -> dict[str, Source]:
    """Players of no arm by their ids, for a round robin with the arms' policies.

    Args:
        players: names or paths.
        taken: ids of the arms' policies.

    Raises:
        ValueError: one has the id of an arm's policy, and would take its place.
        KeyError, FileNotFoundError: one that is not there.
    """
    found = {entrant.id: entrant.source for entrant in entrants(players)}
    if clash := sorted(set(found) & set(taken)):
        given = ", ".join(f"{id} ({found[id]})" for id in clash)
        raise ValueError(f"{given}: a policy of an arm has the same id; save the player under another one")
    return found


def scores(matches: Matches, sides: Mapping[str, Sequence[str]], others: Sequence[str] = ()) -> pd.DataFrame:
    """What each policy of each arm won, against each other arm and some players: a row each.

    Args:
        matches: a round robin of them all.
        sides: by arm, its policies in the order of their seeds.
        others: ids of players of no arm.

    Returns:
        Columns arm, seed (0, 1, ...), against (an arm, or a player's id), win_rate: draws as halves, against an arm the
        mean over its policies.
    """
    rows = []
    for name, policies in sides.items():
        met = {other: ids for other, ids in sides.items() if other != name} | {id: [id] for id in others}
        for number, policy in enumerate(policies):
            for against, ids in met.items():
                rates = [matches.score(policy, id).rate for id in ids]
                rows.append((name, number, against, sum(rates) / len(rates)))
    return pd.DataFrame(rows, columns=["arm", "seed", "against", "win_rate"])
