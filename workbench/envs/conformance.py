"""What every env must keep, as checks that anybody can run on his own.

>>> check_env(lambda batch_size: make("leduc", batch_size), steps=50)

A check that fails raises `ConformanceError`, whose message begins with the check's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from workbench.envs.core import SEATS, Env, EnvSpec, TimeStep, game_seed

_SEAT_ARRAYS = ("acting", "reward")
_DTYPES = {
    "acting": bool,
    "reward": np.float32,
    "terminated": bool,
    "truncated": bool,
    "outcome": np.int8,
    "length": np.int32,
    "end_reason": np.int8,
    "game_seed": np.uint64,
}
_WHERE_DONE = ("outcome", "length", "end_reason")
_HIDDEN = ("game_seed",)


class ConformanceError(AssertionError):
    """An env breaks the contract; says which part, and where it was seen."""


class HiddenVariant(NamedTuple):
    """Two states of an env that differ only in what `seat` must not know.

    Args:
        description: what differs, for the error message.
        state_a, state_b: as `Env.state()` returns.
        seat: the seat that must not see the difference, in all games of the batch.
    """

    description: str
    state_a: dict[str, np.ndarray]
    state_b: dict[str, np.ndarray]
    seat: int


def check_env(
    factory: Callable[[int], Env],
    *,
    steps: int = 100,
    batch_size: int = 4,
    seed: int = 0,
    chance: bool = True,
    batch_independent: bool = True,
    hidden_variants: Callable[[Env], Iterable[HiddenVariant]] | None = None,
) -> None:
    """Run every check on the env that `factory` builds, with uniformly random legal actions.

    Args:
        factory: `factory(batch_size)` gives a new env; a small enough game that some of them end within `steps`.
        steps: steps of each rollout.
        batch_size: games at once; one of the checks also uses a batch of one and one of `batch_size + 3`.
        seed: of the games; the actions are drawn from it too.
        chance: whether games of different seeds differ, given the same actions; False for games without chance.
        batch_independent: whether a slot plays the same games whatever the batch's size.
        hidden_variants: given an env, pairs of states that differ only in hidden information; see `check_no_leak`.

    Raises:
        ConformanceError: at the first check that fails.
    """
    check_spec(factory)
    check_rollout(factory, steps=steps, batch_size=batch_size, seed=seed)
    check_determinism(factory, steps=steps, batch_size=batch_size, seed=seed)
    if chance:
        check_seeds_differ(factory, steps=steps, batch_size=batch_size, seed=seed)
    check_waiting_seats_not_read(factory, steps=steps, batch_size=batch_size, seed=seed)
    check_games_independent(factory, steps=steps, batch_size=batch_size, seed=seed)
    if batch_independent:
        check_batch_independent(factory, steps=steps, batch_size=batch_size, seed=seed)
    check_state(factory, steps=steps, batch_size=batch_size, seed=seed)
    if hidden_variants is not None:
        with factory(batch_size) as env:
            check_no_leak(env, hidden_variants)


def random_actions(timestep: TimeStep, seed: int, step: int) -> np.ndarray:
    """Int64 `[B, 2, H]` legal actions, a pure function of seed, step, slot and legal options; -1 for waiting seats."""
    batch = len(timestep.acting)
    actions = np.full((batch, SEATS, len(timestep.legal)), -1, np.int64)
    rows, seats = np.nonzero(timestep.acting)
    for head, allowed in enumerate(timestep.legal):
        allowed = allowed[rows, seats]
        count = np.maximum(allowed.sum(axis=1), 1).astype(np.uint64)
        drawn = game_seed(seed, rows * SEATS + seats, step * len(timestep.legal) + head) % count
        # the option whose running number among the legal ones is the one drawn
        running = np.where(allowed, allowed.cumsum(axis=1) - 1, -1)
        actions[rows, seats, head] = (running == drawn.astype(np.int64)[:, None]).argmax(axis=1)
    return actions


def check_spec(factory: Callable[[int], Env]) -> None:
    """The spec survives JSON, is the same in every instance, and names its parts."""
    with factory(1) as env, factory(2) as other:
        spec = env.spec
        _require(env.batch_size == 1 and other.batch_size == 2, "spec", "batch_size is not what the factory was given")
        again = EnvSpec.from_json(spec.to_json())
        _require(again.fingerprint == spec.fingerprint, "spec", "to_json and from_json change the fingerprint")
        _require(other.spec.fingerprint == spec.fingerprint, "spec", "two instances have different fingerprints")
        for name, field in spec.observation.items():
            dtypes = ("int16", "int32") if field.is_tokens else ("float32",)
            _require(field.dtype in dtypes, "spec", f"field {name} is {field.dtype}, expected {' or '.join(dtypes)}")
        for head in spec.action.heads:
            _require(len(set(head.options)) == head.size > 0, "spec", f"head {head.name}: options are not distinct")


def check_rollout(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """Shapes, dtypes, vocabularies, legal options, autoreset, rewards and ends of games, step by step."""
    with factory(batch_size) as env:
        timestep = env.reset(seed)
        check_timestep(env, timestep, "reset")
        slots = np.arange(batch_size)
        _require(not timestep.done.any(), "reset", "a game is done before it began")
        _require((timestep.reward == 0).all(), "reset", "there is a reward before the first step")
        played, games = np.zeros(batch_size, np.int64), np.zeros(batch_size, np.int64)
        fresh_observation = True
        for step in range(steps):
            before = timestep.game_seed.copy()
            expected = game_seed(seed, slots, games)
            _require((before == expected).all(), "seeds", f"step {step}: game_seed is not game_seed(seed, slot, game)")
            timestep = env.step(random_actions(timestep, seed, step))
            where = f"step {step}"
            check_timestep(env, timestep, where)
            played += 1
            done = timestep.done
            _require((timestep.length[done] == played[done]).all(), "length", f"{where}: length is not steps played")
            changed = timestep.game_seed != before
            _require((changed == done).all(), "autoreset", f"{where}: game_seed must change where done, only there")
            if done.any():
                fresh_observation &= all(
                    np.array_equal(timestep.final_observation[name][done], observed[done])
                    for name, observed in timestep.observation.items()
                )
            played[done] = 0
            games[done] += 1
        _require(games.any(), "autoreset", f"no game ended in {steps} steps; use more steps or a shorter game")
        _require(not fresh_observation, "autoreset", "final_observation is always the next game's first observation")


def check_timestep(env: Env, timestep: TimeStep, where: str) -> None:
    """One time step against the spec: shapes, dtypes, ranges, and what must hold between its arrays."""
    batch, spec = env.batch_size, env.spec
    _check_observation(spec, batch, timestep.observation, f"{where}: observation", np.ones(batch, bool))
    for name, dtype in _DTYPES.items():
        array = getattr(timestep, name)
        shape = (batch, SEATS) if name in _SEAT_ARRAYS else (batch,)
        _require_array(array, shape, dtype, f"{where}: {name}")
    _require(len(timestep.legal) == len(spec.action), "legal", f"{where}: one array a head is expected")
    for head, allowed in zip(spec.action.heads, timestep.legal, strict=True):
        _require_array(allowed, (batch, SEATS, head.size), bool, f"{where}: legal[{head.name}]")
        stuck = timestep.acting & ~allowed.any(axis=2)
        _require(not stuck.any(), "legal", f"{where}: {_first(stuck)} must act but head {head.name} allows nothing")
    done = timestep.done
    both = timestep.terminated & timestep.truncated
    _require(not both.any(), "ends", f"{where}: {_first(both)} is both terminated and truncated")
    _require(np.isfinite(timestep.reward).all(), "reward", f"{where}: a reward is not finite")
    waiting = ~timestep.acting & ~done[:, None] & (timestep.reward != 0)
    _require(not waiting.any(), "reward", f"{where}: {_first(waiting)} is paid while it waits and the game goes on")
    _require(np.isin(timestep.outcome[done], (-1, 0, 1)).all(), "ends", f"{where}: outcome is not -1, 0 or 1")
    reasons = timestep.end_reason[done]
    known = ((reasons >= 0) & (reasons < len(spec.end_reasons))).all()
    _require(known, "ends", f"{where}: end_reason {reasons.tolist()} but there are {len(spec.end_reasons)} reasons")
    if done.any():
        _require(timestep.final_observation is not None, "autoreset", f"{where}: final_observation is None")
        _check_observation(spec, batch, timestep.final_observation, f"{where}: final_observation", done)
    else:
        _require(timestep.final_observation is None, "autoreset", f"{where}: final_observation but no game ended")


def check_determinism(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """Two instances, and one instance reset twice, play the same games bit for bit from the same seed."""
    first = _record(factory, batch_size, seed, steps)
    _require_equal(first, _record(factory, batch_size, seed, steps), "determinism", "a second instance")
    with factory(batch_size) as env:
        _play(env, env.reset(seed + 1), seed, range(steps // 2))
        again = _play(env, env.reset(seed), seed, range(steps))
    _require_equal(first, again, "determinism", "an instance used before and reset")


def check_seeds_differ(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """Other seeds give other games under the same actions."""
    with factory(batch_size) as env:
        first = _play(env, env.reset(seed), seed, range(steps))
        for other in range(seed + 1, seed + 4):
            if _difference(first, _play(env, env.reset(other), seed, range(steps))):
                return
    raise ConformanceError("seeds: four seeds gave the same games (chance=False if the game has no chance)")


def check_waiting_seats_not_read(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """What stands in the rows of seats that do not act changes nothing."""

    def garbage(timestep, actions, step):
        noise = game_seed(seed + 1, np.arange(actions.size), step).astype(np.int64).reshape(actions.shape)
        return np.where(timestep.acting[:, :, None], actions, noise)

    with factory(batch_size) as env:
        clean = _play(env, env.reset(seed), seed, range(steps))
        noisy = _play(env, env.reset(seed), seed, range(steps), garbage)
    _require_equal(clean, noisy, "waiting seats", "garbage in the rows of waiting seats")


def check_games_independent(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """The first observation of a slot's k-th game depends on the seed alone, not on how earlier games were played."""
    seen: dict[tuple[int, int], tuple] = {}
    with factory(batch_size) as env:
        for actions_seed in (seed, seed + 1, seed + 2):
            timestep = env.reset(seed)
            games = np.zeros(batch_size, np.int64)
            for step in range(steps):
                timestep = env.step(random_actions(timestep, actions_seed, step))
                games += timestep.done
                for slot in np.flatnonzero(timestep.done):
                    shown = (*timestep.observation.values(), *timestep.legal)
                    first = tuple(array[slot].tobytes() for array in shown)
                    same = seen.setdefault((int(slot), int(games[slot])), first) == first
                    where = f"slot {slot}'s game {games[slot]} begins differently after other actions"
                    _require(same, "autoreset", where)


def check_batch_independent(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """A slot plays the same games whatever the number of games beside it."""
    reference = _record(factory, batch_size, seed, steps)
    for other in (1, batch_size + 3):
        shared = min(other, batch_size)
        played = _record(factory, other, seed, steps)
        for step, (ours, theirs) in enumerate(zip(reference, played, strict=True)):
            for name in ours.keys() & theirs.keys():
                same = np.array_equal(ours[name][:shared], theirs[name][:shared])
                where = f"{name} differs between batches of {other} and {batch_size} after {step} steps"
                _require(same, "batch independence", where)


def check_state(factory: Callable[[int], Env], *, steps: int, batch_size: int, seed: int) -> None:
    """`state` is a snapshot from which a fresh instance goes on bit for bit, and `restore` shows its time step."""
    cuts = sorted({0, steps // 3, steps - 2} & set(range(steps)))
    snapshots, recorded = {}, []
    with factory(batch_size) as env:
        timestep = env.reset(seed)
        for step in range(steps):
            if step in cuts:
                snapshots[step] = env.state()
            recorded.append(_frame(timestep))
            timestep = env.step(random_actions(timestep, seed, step))
        recorded.append(_frame(timestep))
    for cut, state in snapshots.items():
        for name, array in state.items():
            plain = isinstance(array, np.ndarray) and not array.dtype.hasobject
            _require(plain, "state", f"{name} is {type(array).__name__}, expected a plain numpy array")
        with factory(batch_size) as env:
            timestep = env.restore(state)
            resumed = [_frame(timestep), *_play(env, timestep, seed, range(cut, steps))[1:]]
        _require_equal(recorded[cut:], resumed, "state", f"an instance restored after {cut} steps")


def check_no_leak(env: Env, hidden_variants: Callable[[Env], Iterable[HiddenVariant]]) -> None:
    """A seat's view does not change when only what is hidden from it does.

    Args:
        env: any instance; it is restored to the states of the variants.
        hidden_variants: `hidden_variants(env)` yields `HiddenVariant`s: pairs of states that differ only in what
            `seat` must not know. For poker: the same betting with the other seat's card exchanged.

    Raises:
        ConformanceError: a seat sees the difference; or nobody does, so that the pair proves nothing; or none came.
    """
    count = 0
    for variant in hidden_variants(env):
        views = []
        for state in (variant.state_a, variant.state_b):
            timestep = env.restore(state)
            views.append([_seat_view(timestep, seat) for seat in range(SEATS)])
        for name, before in views[0][variant.seat].items():
            same = np.array_equal(before, views[1][variant.seat][name])
            _require(same, "no leak", f"{variant.description}: seat {variant.seat} sees it in {name}")
        changed = any(
            not np.array_equal(a, views[1][1 - variant.seat][n]) for n, a in views[0][1 - variant.seat].items()
        )
        _require(changed, "no leak", f"{variant.description}: not even the other seat sees it; the pair proves nothing")
        count += 1
    _require(count > 0, "no leak", "hidden_variants gave no pair of states")


def _seat_view(timestep: TimeStep, seat: int) -> dict[str, np.ndarray]:
    arrays = {f"observation[{name}]": array for name, array in timestep.observation.items()}
    arrays |= {f"legal[{head}]": array for head, array in enumerate(timestep.legal)}
    arrays |= {"acting": timestep.acting, "reward": timestep.reward}
    return {name: array[:, seat].copy() for name, array in arrays.items()}


def _check_observation(spec: EnvSpec, batch: int, observation: dict, where: str, rows: np.ndarray) -> None:
    same = list(observation) == list(spec.observation)
    _require(same, "observation", f"{where} has fields {list(observation)}, the spec has {list(spec.observation)}")
    for name, field in spec.observation.items():
        array = observation[name]
        _require_array(array, (batch, SEATS, *field.shape), field.dtype, f"{where}[{name}]")
        if field.is_tokens:
            inside = ((array[rows] >= 0) & (array[rows] < field.vocabulary)).all()
            _require(inside, "tokens", f"{where}[{name}] leaves [0, {field.vocabulary})")
        else:
            _require(np.isfinite(array[rows]).all(), "observation", f"{where}[{name}] is not finite")


def _frame(timestep: TimeStep) -> dict[str, np.ndarray]:
    """A copy of all that a time step says, with what is undefined left out."""
    done = timestep.done
    frame = {f"observation[{name}]": array.copy() for name, array in timestep.observation.items()}
    frame |= {f"legal[{head}]": array.copy() for head, array in enumerate(timestep.legal)}
    for name in _DTYPES:
        array = getattr(timestep, name)
        frame[name] = np.where(done, array, 0) if name in _WHERE_DONE else array.copy()
    if done.any():
        for name, array in timestep.final_observation.items():
            frame[f"final_observation[{name}]"] = np.where(done.reshape(-1, *[1] * (array.ndim - 1)), array, 0)
    return frame


def _play(env: Env, timestep: TimeStep, actions_seed: int, steps: range, change=None) -> list[dict]:
    frames = [_frame(timestep)]
    for step in steps:
        actions = random_actions(timestep, actions_seed, step)
        if change is not None:
            actions = change(timestep, actions, step)
        timestep = env.step(actions)
        frames.append(_frame(timestep))
    return frames


def _record(factory, batch_size: int, seed: int, steps: int) -> list[dict]:
    with factory(batch_size) as env:
        return _play(env, env.reset(seed), seed, range(steps))


def _difference(ours: list[dict], theirs: list[dict]) -> str:
    """Where two recordings first differ in what players see, or nothing."""
    for step, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        for name in one:
            if name not in _HIDDEN and (name not in other or not np.array_equal(one[name], other[name])):
                return f"{name} after {step} steps"
    return ""


def _require_equal(ours: list[dict], theirs: list[dict], check: str, what: str) -> None:
    for step, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        _require(one.keys() == other.keys(), check, f"{what} has a game end at another step than {step}")
        for name in one:
            same = np.array_equal(one[name], other[name])
            _require(same, check, f"{what} differs in {name} after {step} steps")


def _require_array(array, shape: tuple, dtype, where: str) -> None:
    given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
    _require(given == f"{np.dtype(dtype)} {shape}", "arrays", f"{where} is {given}, expected {np.dtype(dtype)} {shape}")


def _require(held, check: str, message: str) -> None:
    if not held:
        raise ConformanceError(f"{check}: {message}")


def _first(mask: np.ndarray) -> str:
    """In words, the first place where `mask` `[B]` or `[B, 2]` is True; messages are built before it is known to be."""
    if not mask.any():
        return ""
    game, *seat = np.argwhere(mask)[0]
    return f"game {game}, seat {seat[0]}" if seat else f"game {game}"
