"""What a machine has and what it lacks: each failure with the command that mends it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import psutil
from packaging.requirements import Requirement

_GIGABYTE = 1e9
_DISK, _MEMORY = 2.0, 2.0  # gigabytes below which a run is likely to end badly


class Check(NamedTuple):
    """One line; `remedy` is a command, empty where `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(outputs: Path = Path("outputs")) -> list[Check]:
    """All checks, in the order in which things depend on each other."""
    return [python(), *packages(), torch_device(), *showdown(), disk(outputs), memory(), git()]


def python() -> Check:
    ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check(
        "Python",
        ok,
        f"{platform.python_version()} at {sys.prefix}",
        "" if ok else "make a virtual environment of Python 3.11, 3.12 or 3.13",
    )


def packages() -> list[Check]:
    """Whether every package that the workbench asks for is here, in a version that fits."""
    try:
        wanted = importlib.metadata.requires("workbench") or []
    except importlib.metadata.PackageNotFoundError:
        return [Check("packages", False, "the workbench is not installed", "pip install -e .")]
    missing = []
    required = [Requirement(line) for line in wanted]
    for requirement in required:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{requirement} is not installed")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            missing.append(f"{requirement} asked for, {version} installed")
    if missing:
        return [Check("packages", False, "; ".join(missing), "pip install -e .")]
    return [Check("packages", True, f"all that are asked for, workbench {importlib.metadata.version('workbench')}")]


def torch_device() -> Check:
    try:
        import torch
    except ImportError as error:
        return Check("torch", False, str(error), "pip install -e .")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU found: runs on the processor"
    return Check("torch", True, f"{torch.__version__}, {device}, {torch.get_num_threads()} threads")


def showdown() -> list[Check]:
    """Node and Pokémon Showdown, as the game itself checks them."""
    from workbench.envs.pokemon import showdown as simulator

    return [Check(*check) for check in simulator.checks()]


def disk(outputs: Path) -> Check:
    place = next(folder for folder in (outputs.resolve(), *outputs.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free / _GIGABYTE
    ok = free >= _DISK
    return Check(
        "disk",
        ok,
        f"{free:.1f} GB free for {outputs}",
        "" if ok else "remove old experiments from outputs/, or say --output-dir elsewhere",
    )


def memory() -> Check:
    found = psutil.virtual_memory()
    ok = found.available / _GIGABYTE >= _MEMORY
    return Check(
        "memory",
        ok,
        f"{found.available / _GIGABYTE:.1f} of {found.total / _GIGABYTE:.1f} GB available",
        "" if ok else "close what else runs",
    )


def git() -> Check:
    if shutil.which("git") is None:
        return Check(
            "git",
            False,
            "not found: runs will not say which code they ran",
            "install git (apt-get install git, brew install git)",
        )
    from workbench.pipeline.provenance import git_state

    state = git_state(Path())
    words = (
        "not inside a repository"
        if state is None
        else f"{state['sha'][:12]}" + (", with uncommitted changes" if state["dirty"] else "")
    )
    return Check("git", True, words)
