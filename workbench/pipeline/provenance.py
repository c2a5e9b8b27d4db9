"""Where a result comes from: code, parameters, inputs, packages, seed, device, time. Nothing about the person or the host."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import psutil

from workbench.pipeline.files import hash_json, hash_path

_PACKAGES = (
    "workbench", "numpy", "numba", "scipy", "pandas", "pyarrow", "torch", "safetensors", "gymnasium", "melee",
    "matplotlib", "papermill", "nbclient", "ipykernel",
)  # fmt: skip
_NOT_COMPUTING = ("pipeline", "ui", "cli.py", "files.py")
_IGNORED = {"__pycache__", "node_modules"}


def provenance(folder: Path | str = ".") -> dict:
    """What ran here: git revision and hash of uncommitted changes, python, packages, device."""
    return {
        "git": git_state(Path(folder)),
        "code": hash_json(code_files()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": package_versions(),
        "device": device(),
        "processors": os.cpu_count(),
    }


def git_state(folder: Path) -> dict | None:
    """`{"sha", "dirty"}`: the commit, and 16 hex digits over all that differs from it; None outside a git repository."""
    sha = _git(folder, "rev-parse", "HEAD")
    if sha is None:
        return None
    changes = _git(folder, "diff", "HEAD", "--binary") or b""
    untracked = [name for name in (_git(folder, "ls-files", "--others", "--exclude-standard", "-z") or b"").split(b"\0") if name]
    if not changes and not untracked:
        return {"sha": sha.decode().strip(), "dirty": None}
    total = hashlib.sha256(changes)
    for name in sorted(untracked):
        file = folder / os.fsdecode(name)
        total.update(name + b"\0" + (hash_path(file).encode() if file.is_file() else b""))
    return {"sha": sha.decode().strip(), "dirty": total.hexdigest()[:16]}


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device() -> str:
    """`cpu`, or the name of the accelerator torch would use; does not import torch."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return "cpu"
    return torch.cuda.get_device_name()


def code_files() -> dict[str, str]:
    """Hashes of the library's files that a result may depend on, by path relative to the package."""
    root = _package()
    return {file.relative_to(root).as_posix(): hash_path(file) for file in sorted(root.rglob("*")) if _counts(file, root)}


def code_used() -> dict[str, str]:
    """Hashes of the files that this process's modules come from, of what those import, and of the data beside them."""
    root = _package()
    waiting = [Path(module.__file__) for name, module in list(sys.modules.items()) if name.partition(".")[0] == root.name and getattr(module, "__file__", None)]
    used: set[Path] = set()
    while waiting:
        file = waiting.pop().resolve()
        if file not in used and file.is_file() and _counts(file, root):
            used.add(file)
            waiting += _imported_by(file, root)
    beside = {item for folder in {file.parent for file in used} - {root} for item in _data_beside(folder)}
    return {file.relative_to(root).as_posix(): hash_path(file) for file in sorted(used | beside) if _counts(file, root)}


def _data_beside(folder: Path) -> list[Path]:
    """What is not code in a package's folder and in its subfolders that are no packages of their own."""
    found = []
    for item in folder.iterdir():
        if item.is_file() and item.suffix != ".py":
            found.append(item)
        elif item.is_dir() and item.name not in _IGNORED and not (item / "__init__.py").exists():
            found += _data_beside(item)
    return found


def _package() -> Path:
    return Path(__file__).resolve().parents[1]


def _counts(file: Path, root: Path) -> bool:
    """Whether a file of the package can change a result: what only runs, shows or reports cannot."""
    relative = file.relative_to(root)
    if relative.parts == ("__init__.py",):  # re-exports by name; what a run imports through it is found on its own
        return False
    return file.is_file() and relative.parts[0] not in _NOT_COMPUTING and not _IGNORED & set(relative.parts)


def _imported_by(file: Path, root: Path) -> list[Path]:
    """Files of the package that a module names in its import statements, those inside functions included."""
    modules = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    places = [root.parent.joinpath(*name.split(".")) for name in modules if name.partition(".")[0] == root.name]
    return [place.with_suffix(".py") for place in places] + [place / "__init__.py" for place in places]


class Stopwatch:
    """Wall and CPU seconds since it was made, child processes that have ended included."""

    def __init__(self):
        self._wall, self._processor = time.monotonic(), self._spent()

    @staticmethod
    def _spent() -> float:
        times = psutil.Process().cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def read(self) -> dict[str, float]:
        return {"wall_seconds": round(time.monotonic() - self._wall, 3), "cpu_seconds": round(self._spent() - self._processor, 3)}
