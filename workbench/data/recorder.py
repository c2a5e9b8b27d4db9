"""Writes games to a folder while they are played.

>>> with Recorder(env, folder, policies=(first.id, second.id)) as recorder:
...     matches = play(env, first, second, games=1000, recorder=recorder)

Both seats of each finished game are written, as two trajectories of one match id. Games end in `folder/<env name>/`:
chunks in Parquet and, for gen1ou, a file each in Metamon's format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from workbench.data import games, metamon
from workbench.data.trajectories import Game, Trajectory
from workbench.envs.core import SEATS, Env, TimeStep
from workbench.files import replace_file

CHUNK_DECISIONS = 4096
_OBSERVED = "observed "
NUMBERS = range(10**10)  # a match id ends in ten digits


def share_of_numbers(part: int, parts: int) -> range:
    """The `numbers` of recorder `part` of `parts` that write one dataset: as many for each, none for two.

    Raises:
        ValueError: there is no such part.
    """
    if not 0 <= part < parts <= len(NUMBERS):
        raise ValueError(f"part {part} of {parts}: expected parts counted from 0, at most {len(NUMBERS)} of them")
    size = len(NUMBERS) // parts
    return range(part * size, (part + 1) * size)


class Recorder:
    """Watches an env being played and writes each game when it is over.

    What a seat saw and did is kept as one packed row a decision until its game ends (some 700 bytes in gen1ou), so memory
    is that of the games under way. Finished games are written in chunks of about `chunk_decisions`. Files appear
    complete or not at all; games that are running when the recorder is closed leave nothing.

    Args:
        env: the env that is played.
        folder: made where missing; several recorders may write to one folder, each with `numbers` of its own.
        policies: ids of the two players as given to `play`: in slots of odd number the second one sits in seat 0 (in a
            batch of one slot, in games of odd number). Or a function from (slot, number of the slot's game) to the ids
            in seats 0 and 1.
        started: UTC time that stands in the names of Metamon's files; now by default.
        chunk_decisions: how many decisions a Parquet chunk holds at least, but for the last.
        numbers: what the last ten digits of match ids are drawn from, without repetition. Recorders of one dataset with
            ranges that do not overlap (`share_of_numbers`) never give two games one id, nor two files one name.

    Raises:
        ValueError: numbers beyond ten digits.

    Attributes:
        games, decisions: how many were recorded so far.
        files: paths of the Parquet chunks written so far.
    """

    def __init__(
        self,
        env: Env,
        folder: str | Path,
        policies: tuple[str, str] | Callable[[int, int], tuple[str, str]],
        *,
        started: datetime | None = None,
        chunk_decisions: int = CHUNK_DECISIONS,
        numbers: range = NUMBERS,
    ):
        if not len(numbers) or numbers[0] not in NUMBERS or numbers[-1] not in NUMBERS:
            raise ValueError(f"numbers={numbers}: expected some of 0 to {NUMBERS[-1]}, the ten digits of a match id")
        self._numbers = numbers
        self.env, self.spec = env, env.spec
        self.folder = Path(folder) / env.spec.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.games, self.decisions, self.files = 0, 0, []
        self._seating = policies if callable(policies) else self._alternate(*policies)
        self._date = (started or datetime.now(UTC)).strftime("%m-%d-%Y-%H:%M:%S")
        self._chunk_decisions = chunk_decisions
        self._views = hasattr(env, "view") and hasattr(env, "final_view")  # observations that follow from int16 rows
        self._row = self._row_type()
        slots = env.batch_size
        self._rows = np.zeros((slots, SEATS), self._row)
        self._bytes = memoryview(self._rows.view(np.uint8).reshape(-1))
        self._kept: list[list[bytes]] = [[] for _ in range(slots * SEATS)]
        self._played = [0] * slots
        self._seeds = np.zeros(slots, np.uint64)
        self._used: set[int] = set()
        self._finished: list[Trajectory] = []
        self._waiting = 0
        self._between = False

    def _alternate(self, first: str, second: str):
        single = self.env.batch_size == 1
        return lambda slot, game: (second, first) if (game if single else slot) % 2 else (first, second)

    def _row_type(self) -> np.dtype:
        """One decision of one seat: what it saw, might do and did, and what the decision before it earned."""
        if self._views:
            seen = [("view", self.env.view.dtype, self.env.view.shape[2:])]
        else:
            seen = [(_OBSERVED + name, field.dtype, field.shape) for name, field in self.spec.observation.items()]
        legal = [(f"legal {head}", np.bool_, (size,)) for head, size in enumerate(self.spec.action.sizes)]
        rest = [("action", np.int16, (len(self.spec.action),)), ("log_prob", np.float32), ("reward", np.float32)]
        return np.dtype([*seen, *legal, *rest])

    def before_step(self, timestep: TimeStep, actions: np.ndarray, log_probs: np.ndarray) -> None:
        """Keep what acting seats see and do; to be called before every `env.step`.

        Args:
            timestep: the current one.
            actions: int `[B, 2, H]`.
            log_probs: float32 `[B, 2]`.
        """
        rows = self._rows
        if self._views:
            rows["view"] = self.env.view
        else:
            for name, values in timestep.observation.items():
                rows[_OBSERVED + name] = values
        for head, allowed in enumerate(timestep.legal):
            rows[f"legal {head}"] = allowed
        rows["action"], rows["log_prob"], rows["reward"] = actions, log_probs, timestep.reward
        size, raw, kept = self._row.itemsize, self._bytes, self._kept
        for index in np.flatnonzero(timestep.acting).tolist():
            kept[index].append(bytes(raw[index * size : (index + 1) * size]))
        self._seeds[:] = timestep.game_seed
        self._between = True

    def after_step(self, timestep: TimeStep) -> None:
        """Take leave of games that ended; to be called after every `env.step`.

        Raises:
            RuntimeError: `before_step` was not called for this step.
        """
        if not self._between:
            raise RuntimeError("Recorder.after_step without before_step: a step would be missing from the games")
        self._between = False
        for slot in np.flatnonzero(timestep.done).tolist():
            self._finish(slot, timestep)
        if self._waiting >= self._chunk_decisions:
            self.flush()

    def _finish(self, slot: int, timestep: TimeStep) -> None:
        kept = self._kept[slot * SEATS : (slot + 1) * SEATS]
        decisions = [np.frombuffer(b"".join(rows), self._row) for rows in kept]
        policies = self._seating(slot, self._played[slot])
        match_id = self._match_id(policies, int(self._seeds[slot]), decisions)
        for seat, rows in enumerate(decisions):
            if len(rows):
                self._finished.append(self._trajectory(slot, seat, rows, match_id, policies, timestep))
                self._waiting += len(rows)
                self.decisions += len(rows)
            kept[seat].clear()
        self._played[slot] += 1
        self.games += 1

    def _trajectory(self, slot, seat, rows, match_id, policies, timestep) -> Trajectory:
        truncated = bool(timestep.truncated[slot])
        outcome = int(timestep.outcome[slot]) * (1 - 2 * seat)
        game = Game(
            match_id=match_id,
            env=self.spec.name,
            fingerprint=self.spec.fingerprint,
            seed=int(self._seeds[slot]),
            seat=seat,
            policy=policies[seat],
            opponent=policies[1 - seat],
            outcome=outcome,
            truncated=truncated,
            end_reason=self.spec.end_reasons[int(timestep.end_reason[slot])],
            length=int(timestep.length[slot]),
        )
        if self._views:
            observation, view = {}, np.concatenate([rows["view"], self.env.final_view[slot, seat][None]])
        else:
            last = timestep.final_observation
            observation = {
                name: np.concatenate([rows[_OBSERVED + name], last[name][slot, seat][None]])
                for name in self.spec.observation
            }
            view = None
        return Trajectory(
            game=game,
            observation=observation,
            legal=tuple(rows[f"legal {head}"].copy() for head in range(len(self.spec.action))),
            action=rows["action"].copy(),
            reward=np.append(rows["reward"][1:], timestep.reward[slot, seat]),
            log_prob=rows["log_prob"].copy(),
            view=view,
        )

    def _match_id(self, policies, seed: int, decisions) -> str:
        """Ten digits that follow from the game itself, so that the same run names its games the same.

        Raises:
            RuntimeError: all numbers are taken.
        """
        if len(self._used) == len(self._numbers):
            raise RuntimeError(f"all {len(self._numbers)} match ids are taken; give the recorder more `numbers`")
        content = hashlib.blake2b(repr((self.spec.name, policies, seed)).encode(), digest_size=8)
        for rows in decisions:
            content.update(np.ascontiguousarray(rows["action"]))
        place = int.from_bytes(content.digest(), "little") % len(self._numbers)
        while place in self._used:
            place = (place + 1) % len(self._numbers)
        self._used.add(place)
        number = self._numbers[place]
        return f"{'metamon' if self._views else 'workbench'}-{self.spec.name}-{number:010d}"

    def flush(self) -> None:
        """Write the games that are over and not written yet."""
        if not self._finished:
            return
        finished, self._finished, self._waiting = self._finished, [], 0
        names = [str(self._file_name(one)) for one in finished] if self._views else None
        number = finished[0].game.match_id.rsplit("-", 1)[1]
        chunk = self.folder / f"{games.PREFIX}{self._date.replace(':', '')}-{number}.parquet"
        # the chunk first: a battle's file is never there without what belongs to it
        self.files.append(games.write_chunk(chunk, finished, names))
        for one, name in zip(finished, names or (), strict=False):
            content = metamon.encode_battle(one.view, one.action[:, 0])
            replace_file(self.folder / name, lambda temporary, content=content: temporary.write_bytes(content))

    def _file_name(self, one: Trajectory) -> metamon.FileName:
        player, opponent = metamon.player_name(one.game.policy), metamon.player_name(one.game.opponent)
        if player == opponent:  # both views of a draw would have one name
            player, opponent = f"{player}-p{one.game.seat + 1}", f"{opponent}-p{2 - one.game.seat}"
        return metamon.FileName(
            battle=one.game.match_id,
            rating="Unrated",
            player=player,
            opponent=opponent,
            date=self._date,
            result="WIN" if one.game.outcome > 0 else "LOSS",
        )

    def close(self) -> None:
        """Write what is over; games still running are dropped."""
        self.flush()
        for rows in self._kept:
            rows.clear()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
