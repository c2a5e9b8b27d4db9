"""Several players as one: each game is played by a member drawn before it begins, a Nash mixture for one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.envs.core import EnvSpec
from workbench.envs.players import Decision, Player
from workbench.files import replace_file
from workbench.policies.storage import CorruptFileError

FILE = "mixture.json"
FORMAT = 1
_MEMBERS = "members"


class Mixture:
    """A player whose first decision in a game draws the member that plays it to its end.

    Its state is the member's number (from 1; 0: none drawn yet) and the member's own state, so whoever drives games
    treats it as any other player.

    Args:
        id: its own.
        members: the players, in any number of architectures.
        weights: float `[K]`, how likely each is drawn; at least 0, summing to 1.

    Raises:
        ValueError: weights that are no distribution, or not one a member.
    """

    def __init__(self, id: str, members: Sequence[Player], weights: Sequence[float]):
        weights = np.asarray(weights, np.float64)
        if len(members) == 0 or weights.shape != (len(members),):
            raise ValueError(
                f"mixture {id!r}: {len(members)} members and weights of shape {weights.shape}; expected one each"
            )
        if not (np.isfinite(weights).all() and (weights >= 0).all() and abs(weights.sum() - 1) < 1e-6):
            raise ValueError(f"mixture {id!r}: weights {weights.tolist()}; expected at least 0 and a sum of 1")
        self.id, self.members, self.weights = id, list(members), weights / weights.sum()
        self.state_size = max(member.initial_state(1).shape[1] for member in self.members)
        specs = [member.spec for member in self.members if hasattr(member, "spec")]
        if specs:
            self.spec: EnvSpec = specs[0]

    def initial_state(self, batch: int) -> np.ndarray:
        """Zeros, float32 `[batch, 1 + the widest member's]`."""
        return np.zeros((batch, 1 + self.state_size), np.float32)

    def act(self, observation, legal, state, temperature=1.0, generator=None) -> Decision:
        """Decide as the drawn members do; see `Player.act`.

        Raises:
            ValueError: a game begins and there is no generator to draw its member with.
        """
        state = state.copy()
        new = np.flatnonzero(state[:, 0] == 0)
        if len(new):
            if generator is None:
                raise ValueError(f"{self.id}: a game begins, and drawing its member needs a numpy Generator")
            edges = np.cumsum(self.weights)
            edges[-1] = 1.0
            state[new, 0] = 1 + np.searchsorted(edges, generator.random(len(new)), side="right")
        rows, heads = len(state), len(legal)
        found = Decision(np.zeros((rows, heads), np.int64), *np.full((2, rows), np.nan, np.float32), state)
        for number, member in enumerate(self.members):
            mine = np.flatnonzero(state[:, 0] == number + 1)
            if not len(mine):
                continue
            width = member.initial_state(1).shape[1]
            decision = member.act(
                {name: array[mine] for name, array in observation.items()},
                tuple(allowed[mine] for allowed in legal),
                state[mine, 1 : 1 + width],
                temperature,
                generator,
            )
            for whole, part in zip(found[:3], decision[:3], strict=True):
                whole[mine] = part
            state[mine, 1 : 1 + width] = decision.state
        return found

    def save(self, folder: str | Path) -> Path:
        """Write `mixture.json` into `folder`, and copies of members that are policies beside it; it needs nothing else.

        Members with no weight are left out. An earlier mixture there is replaced.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [(member, weight) for member, weight in zip(self.members, self.weights, strict=True) if weight > 0]
        described, fresh = [], folder / f".{_MEMBERS}.{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        for number, (member, weight) in enumerate(kept):
            entry = {"id": member.id, "probability": float(weight)}
            if hasattr(member, "save"):
                entry["folder"] = f"{_MEMBERS}/{number:03d}-{re.sub(r'[^A-Za-z0-9.+-]+', '-', member.id)[-40:]}"
                member.save(fresh / Path(entry["folder"]).name)
            described.append(entry)
        shutil.rmtree(folder / _MEMBERS, ignore_errors=True)
        if fresh.exists():
            fresh.replace(folder / _MEMBERS)
        text = json.dumps({"format": FORMAT, "id": self.id, "members": described}, indent=2)
        replace_file(folder / FILE, lambda path: path.write_text(text, encoding="utf-8"))
        return folder

    @classmethod
    def load(cls, folder: str | Path, spec: EnvSpec | None = None, device="auto") -> Mixture:
        """The mixture saved in `folder`.

        Raises:
            CorruptFileError: it is damaged, or a member's folder is missing.
            ValueError: a member was made for another env than `spec`.
        """
        from workbench.policies.registry import load_policy  # which loads mixtures too

        described = read_mixture(folder)
        members = []
        for entry in described["members"]:
            place = Path(folder) / entry["folder"] if "folder" in entry else entry["id"]
            if isinstance(place, Path) and not place.is_dir():
                raise CorruptFileError(
                    f"{Path(folder) / FILE}: its member {entry['id']!r} is gone ({place} is missing)"
                )
            member = load_policy(place, spec, device=device)
            member.id = entry["id"]
            members.append(member)
        return cls(described["id"], members, [entry["probability"] for entry in described["members"]])

    def describe(self) -> dict[str, str]:
        """Members and how likely each is drawn, in words, most likely first."""
        order = np.argsort(-self.weights, kind="stable")
        return {self.members[index].id: f"{self.weights[index]:.1%}" for index in order}

    def __repr__(self) -> str:
        return f"Mixture({self.id!r}, {self.describe()})"


def read_mixture(folder: str | Path) -> dict:
    """What `mixture.json` says: `id`, and `members` with `id`, `probability` and, for saved policies, `folder`.

    Raises:
        FileNotFoundError: there is none.
        CorruptFileError: it is damaged, or names folders outside its own.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        described = json.loads(path.read_bytes())
        if described["format"] != FORMAT:
            raise ValueError(f"format {described['format']}, this version of the workbench reads {FORMAT}")
        for entry in described["members"]:
            float(entry["probability"]), str(entry["id"])
            parts = Path(entry.get("folder", f"{_MEMBERS}/")).parts
            if parts[0] != _MEMBERS or ".." in parts:
                raise ValueError(f"member {entry['id']!r} lies in {entry['folder']!r}, expected beneath {_MEMBERS}/")
        str(described["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{path}: damaged, or not a mixture's: {error}") from error
    return described
