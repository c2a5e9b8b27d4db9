"""Who is in a league: the agents that learn, frozen copies of them, scripted players; and who ever was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.arena.members import content_hash, rebuild_snapshot
from workbench.envs.players import Player
from workbench.learning.checkpoint import beneath, under
from workbench.policies.core import Policy

AGENT, COPY = "agent", "copy"
_KEPT = ("kind", "role", "parent", "frames", "content", "rating", "retired")


@dataclass
class Entry:
    """Somebody in a league.

    Args:
        player: an agent's changes as it learns; all others never do.
        kind: `"agent"`, `"copy"` of one, `"scripted"` or `"random"`.
        role: of an agent and its copies; empty for others.
        parent: the agent a copy is of; empty for others.
        frames: env steps of the whole league when it joined.
        content: hash of the weights of who has some and does not learn.
        rating: Elo, on one scale for all of the league.
        retired: drawn no more; it leaves when the games against it that are open have ended.
    """

    player: Player
    kind: str
    role: str
    parent: str
    frames: int
    content: str
    rating: float
    retired: bool = False


class Roster:
    """The entries of a league by id, in the order in which they joined.

    Attributes:
        entries: those that may be met, and retired ones that still play.
        joined: everybody who ever joined, in order: id, kind, role, parent, frames of the league then, elo then, and
            the frames when it left (None: it is there).
        founders: by id, the content of whoever does not learn and was there from the beginning.
    """

    def __init__(self):
        self.entries: dict[str, Entry] = {}
        self.joined: list[dict] = []
        self.founders: dict[str, str] = {}

    def __getitem__(self, id: str) -> Entry:
        return self.entries[id]

    @property
    def copies(self) -> list[str]:
        """Ids of the frozen copies that may be met, oldest first."""
        return [id for id, entry in self.entries.items() if entry.kind == COPY and not entry.retired]

    def agents(self, role: str) -> list[str]:
        """Ids of the agents of a role."""
        return [id for id, entry in self.entries.items() if entry.kind == AGENT and entry.role == role]

    def copy_of(self, policy: Policy) -> str | None:
        """The frozen copy that has just these weights, if there is one."""
        content = content_hash(policy.arrays())
        return next((id for id, entry in self.entries.items() if entry.kind == COPY and entry.content == content), None)

    def add(self, entry: Entry) -> None:
        """Raises ValueError where somebody of its id is there."""
        id = entry.player.id
        if id in self.entries:
            raise ValueError(f"two of the league are called {id!r}; everybody needs an id of its own")
        self.entries[id] = entry
        about = {"id": id, "kind": entry.kind, "role": entry.role, "parent": entry.parent}
        self.joined.append({**about, "frames": entry.frames, "elo": entry.rating, "left": None})

    def freeze(self, policy: Policy, id: str, *, role: str, parent: str, frames: int, rating: float) -> None:
        """Add a frozen copy of a policy."""
        copy = policy.frozen_copy(id)
        self.add(Entry(copy, COPY, role, parent, frames, content_hash(copy.arrays()), rating))

    def found(self) -> None:
        """Whoever is there now and does not learn is a founder: he never leaves, and a checkpoint must have the same."""
        self.founders = {id: entry.content for id, entry in self.entries.items() if entry.kind != AGENT}

    def retire(self, id: str, frames: int) -> None:
        """Draw an entry no more."""
        self.entries[id].retired = True
        next(one for one in self.joined if one["id"] == id)["left"] = frames

    def sweep(self, held: Callable[[str], bool]) -> None:
        """Let go of retired copies that nobody holds any more."""
        for id in [id for id, entry in self.entries.items() if entry.retired and not held(id)]:
            del self.entries[id]

    def verify(self) -> None:
        """Compare the weights of whoever does not learn with those that joined.

        Raises:
            RuntimeError: some have changed; they are named.
        """
        changed = [
            id
            for id, entry in self.entries.items()
            if entry.content and content_hash(entry.player.arrays()) != entry.content
        ]
        if changed:
            raise RuntimeError(f"changed since they joined the league: {', '.join(changed)}; something trains them")

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """All that `restore` needs, but for what founders and agents are.

        Raises:
            RuntimeError: as `verify`.
        """
        self.verify()
        entries, arrays, specs = [], {}, {}
        for number, (id, entry) in enumerate(self.entries.items()):
            about = {"id": id} | {name: getattr(entry, name) for name in _KEPT}
            if entry.kind == COPY and id not in self.founders:
                spec = entry.player.spec
                specs[spec.fingerprint] = spec.to_json()
                about |= {"spec": spec.fingerprint, "settings": entry.player.settings.to_json()}
                arrays |= under(str(number), entry.player.arrays())
            entries.append(about)
        return {"entries": entries, "specs": specs, "joined": self.joined, "founders": self.founders}, arrays

    def restore(self, described: dict, arrays: dict[str, np.ndarray], device: str) -> None:
        """Take over what `state` gave.

        Raises:
            ValueError: other founders, or weights that are not those that were frozen; nothing is changed.
        """
        then = described["founders"]
        if then != self.founders:
            differ = sorted(id for id in then.keys() | self.founders if then.get(id) != self.founders.get(id))
            raise ValueError(
                f"the state is of a league that began with others, or other weights, of {', '.join(differ)}"
            )
        entries = {}
        for number, about in enumerate(described["entries"]):
            id = about["id"]
            if "spec" in about:
                weights, spec = beneath(str(number), arrays), described["specs"][about["spec"]]
                player = rebuild_snapshot(id, spec, about["settings"], weights, about["content"], device)
            else:
                player = self.entries[id].player
            entries[id] = Entry(player, **{name: about[name] for name in _KEPT})
        self.entries.clear()
        self.entries.update(entries)
        self.joined = described["joined"]
