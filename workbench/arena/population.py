"""Whom a learner meets in self-play: itself, frozen snapshots of its past, scripted players."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from workbench.arena.elo import expected_score
from workbench.arena.matches import wilson_interval
from workbench.arena.matchmaking import PRIORITIES, drawn_with, mostly_recent, near_in_skill, prioritised
from workbench.arena.members import Member, Record, content_hash, rebuild_snapshot, scripted_members
from workbench.envs.core import EnvSpec
from workbench.envs.players import Player
from workbench.markup import Cell, table_html

CURRENT = "current"

MODES = {
    # source of the shares: ExPhil's population manager and matchmaker
    "simple_mix": {CURRENT: 0.4, "historical": 0.3, "scripted": 0.2, "random": 0.1},
    "matchmaker": {CURRENT: 0.3, "historical": 0.3, "skill_based": 0.2, "pfsp": 0.2},
    "league": {CURRENT: 0.5, "pfsp": 0.5},
    "pfsp": {"pfsp": 1.0},
    "skill_based": {"skill_based": 1.0},
    "self": {CURRENT: 1.0},
}
CLASSES = (CURRENT, "historical", "scripted", "random", "skill_based", "pfsp")


@dataclass(frozen=True)
class PopulationSettings:
    """How opponents are chosen and how long snapshots are kept.

    Args:
        mode: a key of `MODES`.
        mix: share of games by class, in place of the mode's: `current` itself; `historical` snapshots, `recent` of
            them from the newest half; `scripted` players; the `random` player; `skill_based` members within `reach` Elo,
            else the closest; `pfsp` members by `weighting` of the measured win rate. A class with nobody in it gives its
            share to the others.
        keep: how many snapshots; the oldest leaves first.
        recent: see `historical`.
        reach: see `skill_based`.
        weighting: see `workbench.arena.matchmaking.prioritised`.
        memory: over about how many games a win rate is measured, so that it follows a learner that improves.
        k, initial: Elo's K factor and first rating.
    """

    mode: str = "simple_mix"
    mix: dict[str, float] | None = None
    keep: int = 20
    recent: float = 0.7
    reach: float = 100.0
    weighting: str = "squared"
    memory: int = 200
    k: float = 32.0
    initial: float = 1500.0

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"mode={self.mode!r}; expected one of {', '.join(MODES)}")
        if self.weighting not in PRIORITIES:
            raise ValueError(f"weighting={self.weighting!r}; expected one of {', '.join(PRIORITIES)}")
        if self.keep < 1 or self.memory < 1:
            raise ValueError(f"keep={self.keep}, memory={self.memory}; expected at least 1")
        if not 0 <= self.recent <= 1:
            raise ValueError(f"recent={self.recent}; expected a share in [0, 1]")
        shares = self.shares
        unknown = sorted(set(shares) - set(CLASSES))
        if unknown or any(share < 0 for share in shares.values()) or not any(shares.values()):
            raise ValueError(f"mix={shares}; expected shares >= 0, not all 0, of {', '.join(CLASSES)}")

    @property
    def shares(self) -> dict[str, float]:
        return MODES[self.mode] if self.mix is None else self.mix


class Pool(ABC):
    """Members that a learner draws its opponents from, and how it has fared against each.

    All of `workbench.learning.rollout.Opponents` but who is in it, how likely each is drawn, and how it is kept:
    subclasses say that. A member that is retired while games against it are open stays until they end.

    Args:
        memory: over about how many games a win rate is measured.
        k, initial: Elo's K factor, and the learner's first rating.
        prefix: what the names of `metrics` begin with.
        caption: of the table in a notebook.
    """

    def __init__(self, *, memory: int, k: float, initial: float, prefix: str, caption: str):
        self.memory, self.k, self.rating = memory, k, initial
        self.prefix, self.caption = prefix, caption
        self._members: dict[str, Member] = {}

    @property
    def members(self) -> list[str]:
        """Ids of those that may be drawn, the learner itself (`"current"`) left out."""
        return [id for id, member in self._members.items() if not member.retired]

    def player(self, member_id: str) -> Player:
        return self._member(member_id).player

    def record_of(self, member_id: str) -> Record:
        """How the learner has fared against the member."""
        return self._member(member_id).record

    def verify(self) -> None:
        """Compare every snapshot's weights with those that were frozen.

        Raises:
            RuntimeError: some have changed; they are named.
        """
        changed = [
            id
            for id, member in self._members.items()
            if member.content and content_hash(member.player.arrays()) != member.content
        ]
        if changed:
            raise RuntimeError(f"snapshots changed since they were frozen: {', '.join(changed)}; something trains them")

    @abstractmethod
    def probabilities(self) -> dict[str, float]:
        """How likely each opponent is to be drawn now; sums to 1."""

    def draw(self, count: int, generator: np.random.Generator) -> list[str]:
        """Opponents' ids for `count` games that begin; each is owed a `record` unless it is `"current"`."""
        probability = self.probabilities()
        ids = list(probability)
        chance = np.array(list(probability.values()))
        drawn = [ids[i] for i in generator.choice(len(ids), size=count, p=chance / chance.sum())]
        for id in drawn:
            if id != CURRENT:
                self._members[id].record.open_games += 1
        return drawn

    def record(self, member_id: str, score: float) -> None:
        """A game against the member ended: the learner scored 1, .5 or 0. Moves win rate and both Elo ratings.

        Raises:
            KeyError: not a member; `"current"` is none, since its games say nothing of strength.
            ValueError: another score.
        """
        score = float(score)
        if score not in (0.0, 0.5, 1.0):
            raise ValueError(f"score={score} against {member_id!r}; expected 1, .5 or 0")
        record = self._member(member_id).record
        surplus = self.k * (score - float(expected_score(self.rating, record.rating)))
        self.rating += surplus
        record.rating -= surplus
        record.add(score, self.memory)
        self._let_go(member_id)

    # looking at it

    def table(self) -> pd.DataFrame:
        """Members by rating: id, kind, elo, games, wins, draws, losses, win_rate (of late), low, high, probability.

        Win rates are the learner's; low and high are Wilson's 95% interval over all its games with the member. The
        learner's own row is `"current"`.
        """
        probability = self.probabilities()
        rows = [(CURRENT, CURRENT, self.rating, 0, 0, 0, 0, np.nan, np.nan, np.nan, probability.get(CURRENT, 0.0))]
        for id in self.members:
            member = self._members[id]
            record = member.record
            low, high = wilson_interval(record.wins + record.draws / 2, record.games)
            counts = (record.games, record.wins, record.draws, record.losses)
            rate = record.win_rate if record.games else np.nan
            rows.append((id, member.kind, record.rating, *counts, rate, low, high, probability.get(id, 0.0)))
        names = ["id", "kind", "elo", "games", "wins", "draws", "losses", "win_rate", "low", "high", "probability"]
        return pd.DataFrame(rows, columns=names).sort_values("elo", ascending=False, kind="stable", ignore_index=True)

    def metrics(self) -> dict[str, float]:
        """`<prefix>/elo`, `<prefix>/size`, and of everybody met `<prefix>/win_rate/<id>`, the learner's of late, with
        `<prefix>/games/<id>`, the number of games it rests on."""
        metrics = {f"{self.prefix}/elo": self.rating, f"{self.prefix}/size": float(len(self.members))}
        for id in self.members:
            record = self._members[id].record
            if record.games:
                metrics[f"{self.prefix}/win_rate/{id}"] = record.recent_score / record.recent_games
                metrics[f"{self.prefix}/games/{id}"] = record.recent_games
        return metrics

    def _repr_html_(self) -> str:
        rows = [
            (
                Cell(row.id, row.id),
                row.kind,
                f"{row.elo:.0f}",
                f"{row.games}",
                f"{row.wins} / {row.draws} / {row.losses}",
                Cell(
                    "" if np.isnan(row.win_rate) else f"{row.win_rate:.1%}",
                    f"of all its games {row.low:.1%} to {row.high:.1%}",
                ),
                f"{row.probability:.1%}",
            )
            for row in self.table().itertuples()
        ]
        names = ("member", "kind", "Elo", "games", "won / drawn / lost", "learner's win rate", "drawn with")
        return table_html(names, rows, left=(0, 1), caption=self.caption)

    # within

    def _of(self, kind: str) -> list[str]:
        return [id for id, member in self._members.items() if member.kind == kind and not member.retired]

    def _member(self, id: str) -> Member:
        if id not in self._members:
            raise KeyError(f"no member {id!r}; members are {', '.join(self.members) or 'none'}")
        return self._members[id]

    def _add(self, member: Member) -> None:
        id = member.player.id
        if id in self._members or id == CURRENT:
            raise ValueError(f"a member called {id!r} exists already; every member needs an id of its own")
        self._members[id] = member

    def _let_go(self, id: str) -> None:
        """Forget a dropped snapshot once nobody plays it any more."""
        member = self._members[id]
        if member.retired and not member.record.open_games:
            del self._members[id]


class Population(Pool):
    """Opponents for a learner: implements `workbench.learning.rollout.Opponents`.

    >>> population = Population(scripted=["melee-mock/cpu3", "melee-mock/cpu9"], spec=env.spec)
    >>> population.add_snapshot(policy, "v1")

    Snapshots are frozen copies: `verify` compares their weights with what was frozen, and `state` does so before it
    gives anything away.

    Args:
        settings: how opponents are chosen.
        scripted: names or folders for `load_policy`: whoever is neither snapshot nor random, scripted or a saved policy.
        random: name of the player of class `random`, also where it stands among `scripted`; None for nobody.
        spec: the game, against which players from folders are checked.
        device: for snapshots that `restore` builds.

    Raises:
        ValueError: two members of one id, or one called `"current"`.
    """

    def __init__(
        self,
        settings: PopulationSettings | None = None,
        *,
        scripted: Sequence[str] = (),
        random: str | None = "random",
        spec: EnvSpec | None = None,
        device: str = "auto",
    ):
        self.settings = settings or PopulationSettings()
        self.device = device
        some = self.settings
        super().__init__(
            memory=some.memory,
            k=some.k,
            initial=some.initial,
            prefix="population",
            caption=f"Population, mode {some.mode}",
        )
        for member in scripted_members(scripted, random, spec, some.initial):
            self._add(member)

    @property
    def snapshots(self) -> list[str]:
        """Ids of the snapshots that may be drawn, oldest first."""
        return self._of("historical")

    def add_snapshot(self, policy, id: str) -> None:
        """Freeze a copy of `policy` as member `id`; beyond `keep` snapshots the oldest leaves.

        Args:
            policy: a `workbench.policies.Policy`.
            id: not a member's yet.
        """
        copy = policy.frozen_copy(id)
        self._add(Member(copy, "historical", Record(self.rating), content_hash(copy.arrays())))
        for oldest in self.snapshots[: -self.settings.keep]:
            self._members[oldest].retired = True
            self._let_go(oldest)

    def probabilities(self) -> dict[str, float]:
        everyone = self.members
        rates = [self._members[id].record.win_rate for id in everyone]
        ratings = [self._members[id].record.rating for id in everyone]
        ids = {CURRENT: [CURRENT], "skill_based": everyone, "pfsp": everyone}
        ids |= {kind: self._of(kind) for kind in ("historical", "scripted", "random")}
        settings = self.settings
        within = {
            "historical": lambda n: mostly_recent(n, settings.recent),
            "skill_based": lambda n: near_in_skill(ratings, self.rating, settings.reach),
            "pfsp": lambda n: prioritised(rates, settings.weighting),
        }
        classes = {
            name: dict(zip(some, within.get(name, lambda n: np.full(n, 1 / n))(len(some)).tolist(), strict=True))
            for name, some in ids.items()
            if some
        }
        return drawn_with(settings.shares, classes) or {CURRENT: 1.0}

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """All that `restore` needs: a JSON-able description, and the snapshots' weights.

        Raises:
            RuntimeError: a snapshot has changed since it was frozen.
        """
        self.verify()
        described, arrays = [], {}
        specs: dict[str, dict] = {}
        for number, (id, member) in enumerate(self._members.items()):
            entry = {"id": id, "kind": member.kind, "record": asdict(member.record)}
            entry |= {"retired": member.retired, "content": member.content}
            if member.kind == "historical":
                policy = member.player
                specs[policy.spec.fingerprint] = policy.spec.to_json()
                entry |= {"spec": policy.spec.fingerprint, "settings": policy.settings.to_json()}
                arrays |= {f"{number}/{name}": weights for name, weights in policy.arrays().items()}
            described.append(entry)
        return {"rating": self.rating, "members": described, "specs": specs}, arrays

    def restore(self, described: dict, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state` gave; members that are no snapshots must be those this population was made with.

        Raises:
            ValueError: other members, or weights that are not those that were frozen; nothing is changed.
        """
        theirs = {entry["id"]: entry["content"] for entry in described["members"] if entry["kind"] != "historical"}
        mine = {id: member.content for id, member in self._members.items() if member.kind != "historical"}
        if theirs.keys() != mine.keys():
            raise ValueError(f"the state is of a population with {sorted(theirs)}; this one has {sorted(mine)}")
        changed = sorted(id for id in mine if mine[id] != theirs[id])
        if changed:
            raise ValueError(
                f"{', '.join(changed)}: saved policies whose weights have changed since the state was taken"
            )
        members: dict[str, Member] = {}
        for number, entry in enumerate(described["members"]):
            id, kind, record = entry["id"], entry["kind"], Record(**entry["record"])
            if kind != "historical":
                members[id] = Member(self._members[id].player, kind, record, entry["content"])
                continue
            beneath = f"{number}/"
            weights = {name[len(beneath) :]: array for name, array in arrays.items() if name.startswith(beneath)}
            spec = described["specs"][entry["spec"]]
            player = rebuild_snapshot(id, spec, entry["settings"], weights, entry["content"], self.device)
            members[id] = Member(player, kind, record, entry["content"], entry["retired"])
        self._members = members
        self.rating = described["rating"]
