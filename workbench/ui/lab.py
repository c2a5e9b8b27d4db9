"""JupyterLab on the project's notebooks, with settings that suit them; the user's own settings go before ours."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.stage import project_folder

FIRST = "00_tour"
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": True, "autosaveInterval": 30},
    "@jupyterlab/notebook-extension:tracker": {"recordTiming": True},
}
"""Defaults in place of JupyterLab's: no question about news, work saved twice a minute, cells timed."""


def lab_arguments(
    notebook: str = "", *, port: int | None = None, browser: bool = True, settings: Path | None = None
) -> list[str]:
    """What JupyterLab is started with: on this machine only, behind its token, with the project as its root.

    Args:
        notebook: by path or name, which is opened; by default the tour.
        port: by default 8888, or the next that is free.
        browser: open one.
        settings: the folder our settings are written to; by default one among Jupyter's own.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: a notebook outside the project, which JupyterLab cannot open.
    """
    from workbench.pipeline.notebooks import find_notebook

    root = project_folder()
    opened = find_notebook(notebook or FIRST, root).resolve()
    if not opened.is_relative_to(root):
        raise ValueError(f"{opened} lies outside the project {root}, which is all that JupyterLab shows here")
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{opened.relative_to(root).as_posix()}",
        f"--LabServerApp.app_settings_dir={_write_settings(settings)}",
    ]
    if port is not None:
        arguments += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container, as a rule: Jupyter wants to be told
        arguments.append("--allow-root")
    return arguments


def run_lab(arguments: list[str]) -> None:
    """Become JupyterLab; it prints its address, token and all, and ends with Ctrl-C."""
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *arguments])


def _write_settings(folder: Path | None) -> Path:
    """Write our defaults, laid under those of this installation; what users have set themselves goes before both."""
    from jupyter_core.paths import jupyter_runtime_dir
    from jupyterlab.commands import get_app_dir

    folder = folder or Path(jupyter_runtime_dir()) / "workbench-lab"
    folder.mkdir(parents=True, exist_ok=True)
    installed = Path(get_app_dir()) / "settings"
    if installed.is_dir():
        shutil.copytree(installed, folder, dirs_exist_ok=True)
    theirs = read_json(installed / "overrides.json", {})
    laid = {key: {**SETTINGS.get(key, {}), **theirs.get(key, {})} for key in SETTINGS.keys() | theirs.keys()}
    write_json(folder / "overrides.json", laid)
    return folder
