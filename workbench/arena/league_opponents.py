"""Whom one agent of a league meets: everybody is shared with the other agents, how it has fared is its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from workbench.arena.league_roles import MAIN, MAIN_EXPLOITER, Role, Standing, opponents_of
from workbench.arena.league_roster import AGENT, COPY, Roster
from workbench.arena.members import Member, Record
from workbench.arena.population import Pool


class LeagueOpponents(Pool):
    """Opponents for an agent of a league, by its role and its own win rates.

    Args:
        agent: its id.
        role: how it draws them.
        roster: everybody in the league; shared by all its agents.
        memory, k, initial: see `Pool`.
    """

    def __init__(self, agent: str, role: Role, roster: Roster, *, memory: int, k: float, initial: float):
        super().__init__(memory=memory, k=k, initial=initial, prefix=f"league/{agent}", caption=f"Whom {agent} meets")
        self.agent, self.role, self.roster = agent, role, roster
        self.met: dict[str, list[int]] = {}
        """By opponent, also of those that left: games begun, won, drawn and lost."""

    def join(self, id: str) -> None:
        """From now on the entry of that id may be met."""
        entry = self.roster[id]
        self._add(Member(entry.player, entry.kind, Record(entry.rating), entry.content))

    def retire(self, id: str) -> None:
        """Draw a member no more; it is let go when the open games against it have ended."""
        self._member(id).retired = True
        self._let_go(id)

    def holds(self, id: str) -> bool:
        """Whether it may be drawn or games against it are open."""
        return id in self._members

    def begin_anew(self) -> None:
        """Forget how the agent has fared, and all open games: it is another policy from now on."""
        for id in [id for id, member in self._members.items() if member.retired]:
            del self._members[id]
        for member in self._members.values():
            member.record = Record(member.record.rating)

    def probabilities(self) -> dict[str, float]:
        return opponents_of(self.role, self.agent, self.standing())

    def standing(self) -> Standing:
        """What the agent knows of the league."""
        entries, present = self.roster.entries, self.members
        copies = [id for id in present if entries[id].kind == COPY]
        mains = self.roster.agents(MAIN)
        return Standing(
            mains=mains,
            past={main: [id for id in copies if entries[id].parent == main] for main in mains},
            exploiters=[id for id in copies if entries[id].role == MAIN_EXPLOITER],
            league=[id for id in present if entries[id].kind != AGENT],
            rates={id: self._members[id].record.win_rate for id in present},
        )

    def beats(self, targets: Iterable[str], share: float, games: int) -> bool:
        """Whether the agent wins at least a share of its late games against each target, of which there are enough."""
        records = [self._members[id].record for id in targets]
        enough = all(record.recent_games >= games for record in records)
        return bool(records) and enough and all(one.recent_score >= share * one.recent_games for one in records)

    def draw(self, count: int, generator: np.random.Generator) -> list[str]:
        drawn = super().draw(count, generator)
        for id in drawn:
            self._count(id, 0)
        return drawn

    def record(self, member_id: str, score: float) -> None:
        """As `Pool.record`; the ratings it moves are those of the whole league."""
        record = self._member(member_id).record
        mine, theirs = self.roster[self.agent], self.roster[member_id]
        self.rating, record.rating = mine.rating, theirs.rating
        super().record(member_id, score)
        mine.rating, theirs.rating = self.rating, record.rating
        self._count(member_id, 3 - int(2 * score))

    def table(self):
        self._take_ratings()
        return super().table()

    def metrics(self) -> dict[str, float]:
        """As `Pool.metrics`, with `<prefix>/win_rate`, of its late games against everybody."""
        self._take_ratings()
        records = [self._members[id].record for id in self.members]
        games = sum(record.recent_games for record in records)
        rate = {f"{self.prefix}/win_rate": sum(record.recent_score for record in records) / games} if games else {}
        return super().metrics() | rate

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """How the agent has fared; who its opponents are, the league's state says."""
        members = [
            {"id": id, "record": asdict(member.record), "retired": member.retired}
            for id, member in self._members.items()
        ]
        return {"members": members, "met": self.met}, {}

    def restore(self, described: dict, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state` gave, of a league whose entries are restored already."""
        self._members = {}
        for kept in described["members"]:
            self.join(kept["id"])
            member = self._members[kept["id"]]
            member.record, member.retired = Record(**kept["record"]), kept["retired"]
        self.met = {id: list(counts) for id, counts in described["met"].items()}

    def _count(self, id: str, which: int) -> None:
        self.met.setdefault(id, [0, 0, 0, 0])[which] += 1

    def _take_ratings(self) -> None:
        self.rating = self.roster[self.agent].rating
        for id, member in self._members.items():
            member.record.rating = self.roster[id].rating
