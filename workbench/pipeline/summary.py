"""What the pages of an experiment need of each stage, read from its files once and again only after they have changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workbench.pipeline.figures import gathered, is_number
from workbench.pipeline.files import read_json

AVERAGED = 10
"""How many of the last updates a loss, an entropy or a KL is the mean of; all else is its last value."""
_TAIL = 64 * 1024  # bytes of metrics.jsonl that are looked at: enough for the last values, whatever the file's size
_FILES = ("result.json", "request.json", "metrics.jsonl")
_cache: dict[Path, tuple[tuple, Summary]] = {}


@dataclass(frozen=True)
class Summary:
    """A stage in short.

    Args:
        metrics: of its result, gathered.
        training: each figure of `metrics.jsonl` at its end, as `last_values` has it.
        artifacts: paths relative to the experiment's folder, by name: `policy`, `several[0]`, `by.key`.
        policies: of the artifacts that are policies or mixtures of them, `{"id", "parent", "trained_by", "against",
            "imitates", "members"}`, as far as they say so; members' ids of a mixture only.
        data: of the artifacts those that hold games to learn from.
        inputs: references to what it was made from, as its request has them.
        parameters: the values it ran with.
        trouble: why its files could not be read; empty where they could.
    """

    metrics: dict = field(default_factory=dict)
    training: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    policies: dict[str, dict] = field(default_factory=dict)
    data: frozenset[str] = frozenset()
    inputs: tuple[str, ...] = ()
    parameters: dict = field(default_factory=dict)
    trouble: str = ""

    @property
    def trained(self) -> dict[str, dict]:
        """Of the policies those that this stage has trained: the one it calls `policy`, else all that say so."""
        if "policy" in self.policies:
            return {"policy": self.policies["policy"]}
        return {label: policy for label, policy in self.policies.items() if policy["trained_by"]}


def summary_of(folder: Path, experiment_folder: Path) -> Summary:
    """The summary of the stage in a folder; one with `trouble` where its files are damaged."""
    key = folder.resolve()
    stamp = tuple(_stamp(folder / name) for name in _FILES)
    known = _cache.get(key)
    if known is None or known[0] != stamp:
        try:
            found = _read(folder, experiment_folder)
        except (ValueError, OSError) as error:
            found = Summary(trouble=str(error))
        known = _cache[key] = (stamp, found)
    return known[1]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _read(folder: Path, experiment_folder: Path) -> Summary:
    result, request = _object(folder / "result.json"), _object(folder / "request.json")
    artifacts = {label: path for label, (path, _) in flattened(_dict(result, "artifacts"))}
    described = {label: _policy(experiment_folder / path) for label, path in artifacts.items()}
    return Summary(
        metrics=gathered(_dict(result, "metrics")),
        training=last_values(folder / "metrics.jsonl"),
        artifacts=artifacts,
        policies={label: found for label, found in described.items() if found},
        data=frozenset(label for label, path in artifacts.items() if _is_data(experiment_folder / path)),
        inputs=tuple(_dict(request, "inputs")),
        parameters={name: value for name, value in _dict(request, "parameters").items() if name != "output_dir"},
    )


def _object(path: Path) -> dict:
    found = read_json(path, {})
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def _dict(found: dict, key: str) -> dict:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def flattened(artifacts: dict, prefix: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    """(label, (path, hash)) of every artifact of a result, those in lists and dicts item by item."""
    for name, item in artifacts.items():
        label = f"{prefix}{name}"
        if isinstance(item, list):
            for index, one in enumerate(item):
                yield from flattened({f"{label}[{index}]": one})
        elif isinstance(item, dict) and isinstance(item.get("path"), str):
            yield label, (item["path"], str(item.get("hash", "")))
        elif isinstance(item, dict):
            yield from flattened(item, label + ".")


def _policy(path: Path) -> dict | None:
    if (path / "mixture.json").is_file():
        found = _object(path / "mixture.json")
        members = [str(one.get("id")) for one in found.get("members", []) if isinstance(one, dict)]
        return {"id": str(found.get("id", "")), "parent": None, "trained_by": None, "members": members}
    if not (path / "policy.json").is_file():
        return None
    found = _object(path / "policy.json")
    lineage = _dict(found, "lineage")
    return {"id": str(found.get("id", ""))} | {
        key: lineage.get(key) for key in ("parent", "trained_by", "against", "imitates")
    }


def _is_data(path: Path) -> bool:
    """Whether a folder was left by collecting or filtering games."""
    return any((path / name).is_file() for name in ("collection.json", "filtering_stats.json"))


def last_values(path: Path) -> dict[str, float]:
    """The last value of each figure in a `metrics.jsonl`, the mean of the last ten for `losses/`; only its end is read."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read()
    except FileNotFoundError:
        return {}
    lines = tail[: tail.rfind(b"\n") + 1].splitlines()
    lines = lines[1:] if size > _TAIL else lines  # the first may be cut
    seen: dict[str, list[float]] = {}
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:  # a torn or foreign line says nothing
            continue
        for name, value in found.items() if isinstance(found, dict) else ():
            enough = AVERAGED if name.startswith("losses/") else 1
            if name not in ("step", "time") and is_number(value) and len(seen.setdefault(name, [])) < enough:
                seen[name].append(value)
    return {name: sum(values) / len(values) for name, values in seen.items()}
