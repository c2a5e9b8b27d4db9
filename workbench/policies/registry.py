"""Players by name: scripted ones, registered policies, and saved folders, in one namespace."""

from __future__ import annotations

import difflib
import importlib
import json
import os
from pathlib import Path

from workbench.envs.core import EnvSpec
from workbench.envs.players import Player, scripted_names, scripted_player
from workbench.policies import mixture
from workbench.policies.storage import CorruptFileError, read_description

REGISTRY = "policies.json"

# first part of a scripted player's name -> the module that registers the game's players when imported
_SCRIPTED_MODULES = {
    "gen1ou": "workbench.envs.pokemon.scripted",
    "melee-mock": "workbench.envs.melee.scripted",
    "kuhn": "workbench.envs.poker",
    "leduc": "workbench.envs.poker",
    "memory": "workbench.envs.memory",
    "rps": "workbench.envs.matrix",
    "matrix": "workbench.envs.matrix",
}


def load_policy(
    name_or_path: str | Path, spec: EnvSpec | None = None, *, root: str | Path = "outputs", device="auto"
) -> Player:
    """The player of that name: a saved folder (of a policy or a mixture), a registered one, or a scripted player.

    Args:
        name_or_path: e.g. `"outputs/run/policy"`, `"champion"`, `"gen1ou/max-power"`, `"random"`.
        spec: the env it shall play; a policy made for another is refused.
        root: the folder whose registry is read.
        device: for policies.

    Raises:
        KeyError: unknown; the message gives the nearest names.
        CorruptFileError: the folder's files are damaged, or the registry is.
        ValueError: made for another env; the differences are named.
        FileNotFoundError: a registered policy's folder is gone.
    """
    id, folder = find_policy(name_or_path, root=root)
    if folder is None:
        return scripted_player(id)
    if (folder / mixture.FILE).exists():
        player = mixture.Mixture.load(folder, spec, device)
    else:
        from workbench.policies.core import Policy  # imports torch

        player = Policy.load(folder, spec, device)
    player.id = id
    return player


def find_policy(name_or_path: str | Path, *, root: str | Path = "outputs") -> tuple[str, Path | None]:
    """The id and the folder of the player of that name; no folder for a scripted one. Needs no torch.

    Raises:
        KeyError, CorruptFileError, FileNotFoundError: as `load_policy`.
    """
    name = str(name_or_path)
    if (Path(name) / "policy.json").exists():
        description = read_description(name, "policy")
        if "id" not in description:
            raise CorruptFileError(f"{Path(name) / 'policy.json'}: cannot be used: it says no id; save the policy anew")
        return description["id"], Path(name)
    if (Path(name) / mixture.FILE).exists():
        return mixture.read_mixture(name)["id"], Path(name)
    registered = _read(root)
    if name in registered:
        folder = Path(root) / registered[name]
        if not _is_saved(folder):
            raise FileNotFoundError(f"policy {name!r}: its folder {folder} holds no policy.json; register it anew")
        return name, folder
    if Path(name).is_dir():
        raise FileNotFoundError(f"{name}: this folder holds no policy.json, so no policy was saved here")
    _import_scripted(name.partition("/")[0])
    if name in scripted_names():
        return name, None
    known = policy_names(root)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
    raise KeyError(f"no policy named {name!r} and no such folder; did you mean {', '.join(near)}?")


def register_policy(name: str, folder: str | Path, *, root: str | Path = "outputs") -> None:
    """Make the policy saved in `folder` known as `name` to whoever reads the registry of `root`.

    An earlier registration of the name is replaced. The registry keeps the folder relative to `root` where it lies
    beneath it, so that `root` can be moved as a whole.

    Raises:
        FileNotFoundError: no policy in the folder.
        ValueError: the name is a scripted player's.
    """
    root, folder = Path(root), Path(folder)
    if not _is_saved(folder):
        raise FileNotFoundError(f"{folder}: holds no policy.json; save the policy first")
    _import_scripted(name.partition("/")[0])
    if name in scripted_names():
        raise ValueError(f"{name!r} is the name of a scripted player; choose another")
    registered = _read(root)
    inside = folder.resolve().is_relative_to(root.resolve())
    registered[name] = folder.resolve().relative_to(root.resolve()).as_posix() if inside else str(folder.resolve())
    root.mkdir(parents=True, exist_ok=True)
    fresh = root / f".{REGISTRY}.{os.getpid()}"
    fresh.write_text(json.dumps(dict(sorted(registered.items())), indent=2) + "\n")
    fresh.replace(root / REGISTRY)


def policy_names(root: str | Path = "outputs") -> list[str]:
    """All registered and scripted names, sorted."""
    for prefix in _SCRIPTED_MODULES:
        _import_scripted(prefix)
    return sorted({*_read(root), *scripted_names()})


def _is_saved(folder: Path) -> bool:
    return (folder / "policy.json").exists() or (folder / mixture.FILE).exists()


def _import_scripted(prefix: str) -> None:
    if prefix in _SCRIPTED_MODULES:
        importlib.import_module(_SCRIPTED_MODULES[prefix])


def _read(root: str | Path) -> dict[str, str]:
    path = Path(root) / REGISTRY
    if not path.exists():
        return {}
    try:
        registered = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptFileError(f"{path}: damaged, not JSON ({error}); mend or remove it") from error
    if not isinstance(registered, dict) or not all(isinstance(folder, str) for folder in registered.values()):
        raise CorruptFileError(f"{path}: expected a JSON object of names and folders; mend or remove it")
    return registered
