"""Where a result comes from: code, parameters, inputs, packages, seed, device, time. Nothing about the person or the host."""

from __future__ import annotations

import contextlib
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

from workbench.pipeline.dependencies import code_files
from workbench.pipeline.files import hash_json, hash_path, to_plain

_PACKAGES = (
    "workbench", "numpy", "numba", "scipy", "pandas", "pyarrow", "torch", "safetensors", "gymnasium", "melee",
    "matplotlib", "papermill", "nbclient", "ipykernel",
)  # fmt: skip


def provenance(folder: Path | str = ".") -> dict:
    """What ran here: git revision and hash of uncommitted changes, python, packages, device.

    Args:
        folder: the project's; where it is under no version control, the library's own revision is given.
    """
    return {
        "git": git_state(Path(folder)) or git_state(Path(__file__).parents[2]),
        "code": hash_json(code_files()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": package_versions(),
        "device": device(),
        "processors": os.cpu_count(),
    }


def by_hand(told: str | None, namespace: dict) -> dict:
    """`{"notebook", "parameters"}` of a notebook that a person runs; {} where its file cannot be found.

    Args:
        told: where the notebook lies, as JupyterLab says; the kernel runs in the same folder.
        namespace: the kernel's variables.
    """
    from workbench.pipeline.notebook_io import NotebookError, read_notebook  # which stages of the runner do without
    from workbench.pipeline.parameters import ParameterError, read_schema

    path = Path(told or "")
    path = path if path.is_file() else Path(path.name)
    if path.suffix != ".ipynb" or not path.is_file():
        return {}
    try:
        schema = read_schema(read_notebook(path))
    except (ParameterError, NotebookError):
        return {}
    values = {name: namespace[name] for name in schema.parameters if name in namespace and name != "output_dir"}
    return {"notebook": path.name, "parameters": {name: value for name, value in values.items() if _is_plain(value)}}


def _is_plain(value) -> bool:
    try:
        to_plain(value)
    except TypeError:
        return False
    return True


def git_state(folder: Path) -> dict | None:
    """`{"sha", "dirty"}`: the commit, and 16 hex digits over all that differs from it; None outside a git repository."""
    sha = _git(folder, "rev-parse", "HEAD")
    if sha is None:
        return None
    changes = _git(folder, "diff", "HEAD", "--binary") or b""
    untracked = [
        name for name in (_git(folder, "ls-files", "--others", "--exclude-standard", "-z") or b"").split(b"\0") if name
    ]
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


class Stopwatch:
    """Wall and CPU seconds since it was made; of the CPU's also what child processes have spent, ended or not."""

    def __init__(self):
        self._wall, self._processor = time.monotonic(), _processor_seconds()

    def read(self) -> dict[str, float]:
        return {
            "wall_seconds": round(time.monotonic() - self._wall, 3),
            "cpu_seconds": round(max(0.0, _processor_seconds() - self._processor), 3),
        }


def spent_by_kernel(notebook) -> dict[str, float]:
    """Wall and CPU seconds of a run that has left no result, as the process that executed the notebook knows them."""
    took = notebook.metadata.get("papermill", {}).get("duration")
    times = os.times()
    found = {"cpu_seconds": round(times.children_user + times.children_system, 3)}
    return found if took is None else {"wall_seconds": round(took, 3), **found}


def _processor_seconds() -> float:
    """Of this process, of its children that have ended, and of all descendants that still run, as workers of a pool do."""
    total = 0.0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
