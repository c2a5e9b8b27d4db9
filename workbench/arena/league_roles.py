"""The roles of a league: whom an agent of each meets, when it is frozen into the league, when it begins anew.

Source: Vinyals et al. 2019, Nature 575 (AlphaStar), Methods, "Multi-agent learning", and its supplementary pseudocode;
the shares of `"exphil"` are those of ExPhil's league trainer (which adds .1 to each linear weight).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from workbench.arena.matchmaking import PRIORITIES, before_monotone_end, drawn_with, prioritised
from workbench.arena.population import CURRENT

MAIN, MAIN_EXPLOITER, LEAGUE_EXPLOITER = "main", "main_exploiter", "league_exploiter"
ROLES = (MAIN, MAIN_EXPLOITER, LEAGUE_EXPLOITER)
WHOM = ("mains", "past_mains", "league", "forgotten")
TARGETS = ("mains", "league")


@dataclass(frozen=True, kw_only=True)
class Role:
    """How an agent of a league finds its opponents, and when a copy of it joins the league.

    >>> Role(mix={"league squared": 0.5, "mains uniform": 0.35, "forgotten squared": 0.15})

    Args:
        mix: shares of games; each key says whom, and by which weighting of its win rates one of them is drawn
            (`workbench.arena.matchmaking.prioritised`). Whom: `mains`, the main agents as they are now, for a main agent
            itself among them; `past_mains`, the frozen copies of main agents; `league`, everybody who is frozen, and
            the scripted players; `forgotten`, see `secure`, and the mains where nobody is. A share of nobody goes to
            the others.
        too_strong: below this win rate against a main agent its frozen copies are played instead, most often those
            closest in strength; and below it against some frozen main exploiter these count as forgotten.
        secure: below this win rate against some frozen copy of a main agent that is older than it should be to be hard
            (`workbench.arena.matchmaking.before_monotone_end`) these copies count as forgotten.
        every: env steps of its own after which a copy joins the league, whatever it has won.
        earliest: no copy joins sooner after the last.
        beats: a copy joins as soon as the agent wins this share against each of its `targets`; None: never for that.
        games: about how many games a win rate must rest on to count for that.
        targets: `mains` as they are now, or everybody in the `league`.
        reset: chance that the agent goes back to the weights it began with after a copy has joined.
        pace: env steps of its own for each of an agent of pace 1.
    """

    mix: Mapping[str, float]
    too_strong: float = 0.3
    secure: float = 0.7
    every: int = 200_000
    earliest: int = 0
    beats: float | None = 0.7
    games: int = 100
    targets: str = "league"
    reset: float = 0.0
    pace: float = 1.0

    def __post_init__(self):
        for key, share in self.mix.items():
            whom, _, weighting = key.partition(" ")
            if whom not in WHOM or weighting not in PRIORITIES or share < 0:
                raise ValueError(
                    f"mix has {key!r}: {share}; expected a share >= 0 of '<whom> <weighting>', whom one of "
                    f"{', '.join(WHOM)}, weighting one of {', '.join(PRIORITIES)}"
                )
        if not any(self.mix.values()):
            raise ValueError(f"mix={dict(self.mix)}; expected shares that are not all 0")
        for name in ("too_strong", "secure", "beats", "reset"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}; expected a share in [0, 1]")
        if not 0 <= self.earliest <= self.every or self.every < 1 or self.games < 1 or self.pace <= 0:
            raise ValueError(
                f"every={self.every}, earliest={self.earliest}, games={self.games}, pace={self.pace}; expected "
                "0 <= earliest <= every, every and games at least 1, and a pace above 0"
            )
        if self.targets not in TARGETS:
            raise ValueError(f"targets={self.targets!r}; expected one of {', '.join(TARGETS)}")


# `every` and `earliest` in units of a main agent's `every`: main agents are copied every 2e9 steps; main exploiters time
# out after 4e9, league exploiters after 2e9, and the pseudocode has both wait for half of their time-out
PRESETS = {
    "alphastar": {
        MAIN: {
            "mix": {"league squared": 0.5, "mains uniform": 0.35, "forgotten squared": 0.15},
            "every": 1, "earliest": 1, "beats": None,
        },
        MAIN_EXPLOITER: {
            "mix": {"mains uniform": 0.5, "past_mains variance": 0.5}, "too_strong": 0.2,
            "every": 2, "earliest": 1, "targets": "mains", "reset": 1.0,
        },
        LEAGUE_EXPLOITER: {"mix": {"league capped": 1.0}, "every": 1, "earliest": 0.5, "reset": 0.25},
    },
    "exphil": {
        MAIN: {"mix": {"league linear": 0.5, "league uniform": 0.5}, "every": 1, "earliest": 1, "beats": None},
        MAIN_EXPLOITER: {
            "mix": {"mains linear": 0.8, "mains uniform": 0.2}, "too_strong": 0.0,
            "every": 1, "earliest": 1, "beats": None, "targets": "mains",
        },
        LEAGUE_EXPLOITER: {"mix": {"league linear": 0.9, "league uniform": 0.1}, "every": 1, "earliest": 1, "beats": None},
    },
}  # fmt: skip


def league_roles(
    preset: str = "alphastar", *, every: int = 200_000, changes: Mapping[str, Mapping] | None = None
) -> dict[str, Role]:
    """The three roles of a preset.

    >>> league_roles(every=50_000, changes={"main": {"pace": 2}})["main_exploiter"].every
    100000

    Args:
        preset: a key of `PRESETS`.
        every: env steps of a main agent between two of its copies; the other roles' times are multiples of it.
        changes: by role, other values of `Role`'s fields.

    Raises:
        ValueError: an unknown preset, role or field, or a value that a `Role` refuses.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset={preset!r}; expected one of {', '.join(PRESETS)}")
    changes = changes or {}
    _require_known(changes, ROLES, "a role")
    for role, some in changes.items():
        _require_known(some, [field.name for field in fields(Role)], f"a setting of {role}")
    found = {}
    for role, values in PRESETS[preset].items():
        times = {name: round(values[name] * every) for name in ("every", "earliest")}
        found[role] = Role(**{**values, **times, **changes.get(role, {})})
    return found


def _require_known(given: Iterable[str], expected: Sequence[str], what: str) -> None:
    for name in given:
        if name not in expected:
            near = difflib.get_close_matches(name, expected, n=3, cutoff=0.4) or expected
            raise ValueError(f"changes: {name!r} is not {what}; did you mean {', '.join(near)}?")


class Standing(NamedTuple):
    """What an agent knows of its league when it looks for an opponent.

    Args:
        mains: ids of the main agents, which go on learning.
        past: ids of the frozen copies of each main agent, oldest first.
        exploiters: ids of the frozen copies of main exploiters, oldest first.
        league: ids of everybody frozen, and of the scripted players.
        rates: the agent's win rate against each of all these, but for itself.
    """

    mains: list[str]
    past: Mapping[str, list[str]]
    exploiters: list[str]
    league: list[str]
    rates: Mapping[str, float]


def opponents_of(role: Role, agent: str, standing: Standing) -> dict[str, float]:
    """How likely an agent of the role meets each of its league: probabilities by id, `"current"` being itself.

    Args:
        role: the agent's.
        agent: its id.
        standing: see `Standing`.
    """
    classes = {}
    for key in role.mix:
        whom, weighting = key.split(" ")
        if whom == "mains":
            classes[key] = _mains(role, agent, standing, standing.mains, weighting)
        elif whom == "forgotten":
            classes[key] = _forgotten(role, agent, standing, weighting)
        else:
            some = standing.league if whom == "league" else [id for one in standing.mains for id in standing.past[one]]
            classes[key] = _by_rate(some, standing, weighting)
    return drawn_with(role.mix, classes) or {CURRENT: 1.0}


def _by_rate(some: list[str], standing: Standing, weighting: str) -> dict[str, float]:
    """Some members by a weighting of the win rates against them."""
    if not some:
        return {}
    return dict(zip(some, prioritised([standing.rates[id] for id in some], weighting).tolist(), strict=True))


def _mains(role: Role, agent: str, standing: Standing, mains: list[str], weighting: str) -> dict[str, float]:
    """Main agents as they are now, in place of those that are too strong their frozen copies."""
    rates = [0.5 if main == agent else standing.rates[main] for main in mains]
    found: dict[str, dict[str, float]] = {}
    for main, rate in zip(mains, rates, strict=True):
        if main == agent:
            found[main] = {CURRENT: 1.0}
        elif rate < role.too_strong and standing.past[main]:
            found[main] = _by_rate(standing.past[main], standing, "variance")
        else:
            found[main] = {main: 1.0}
    return drawn_with(dict(zip(mains, prioritised(rates, weighting).tolist(), strict=True)), found)


def _forgotten(role: Role, agent: str, standing: Standing, weighting: str) -> dict[str, float]:
    """Main exploiters that beat the agent; else old copies of main agents that it should beat and does not; else mains."""
    if any(standing.rates[id] < role.too_strong for id in standing.exploiters):
        return _by_rate(standing.exploiters, standing, weighting)
    found = {}
    for main in standing.mains:
        past = standing.past[main]
        rates = [standing.rates[id] for id in past]
        old = past[: before_monotone_end(rates)]
        if any(standing.rates[id] < role.secure for id in old):
            found[main] = _by_rate(old, standing, weighting)
        else:
            found[main] = _mains(role, agent, standing, [main], "uniform")
    return drawn_with(dict.fromkeys(standing.mains, 1.0), found)
