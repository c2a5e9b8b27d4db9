"""JupyterLab as a person has it: the project's notebooks in a folder of their own, a real server, a real browser."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from workbench.pipeline.status import read_status
from workbench.ui.lab import lab_arguments

ROOT = Path(__file__).resolve().parents[3]
_WHOLE = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}
}  # all cells are on the page, not only those in sight


class Lab:
    """A JupyterLab server on a project of its own.

    Attributes:
        project: its root, with copies of the notebooks in `notebooks/`; runs by hand go to `outputs/`.
    """

    def __init__(self, project: Path):
        self.project = project
        (project / "notebooks").mkdir(parents=True)
        (project / "pyproject.toml").touch()
        for notebook in (ROOT / "notebooks").glob("*.ipynb"):
            shutil.copy(notebook, project / "notebooks")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._token = secrets.token_hex(16)
        self.address = f"http://127.0.0.1:{port}"
        own = {
            name: str(project / ".jupyter" / name) for name in ("config", "data", "runtime", "settings", "workspaces")
        }
        before = Path.cwd()
        os.chdir(project)
        try:
            arguments = lab_arguments("20_dashboard", port=port, browser=False, settings=project / ".jupyter/defaults")
        finally:
            os.chdir(before)
        overrides = project / ".jupyter/defaults/overrides.json"
        laid = json.loads(overrides.read_text())
        overrides.write_text(
            json.dumps({key: {**laid.get(key, {}), **_WHOLE.get(key, {})} for key in {**laid, **_WHOLE}})
        )
        self._environment = {
            **os.environ,
            "JUPYTER_TOKEN": self._token,
            "JUPYTER_CONFIG_DIR": own["config"],
            "JUPYTER_DATA_DIR": own["data"],
            "JUPYTER_RUNTIME_DIR": own["runtime"],
            "JUPYTERLAB_SETTINGS_DIR": own["settings"],
            "JUPYTERLAB_WORKSPACES_DIR": own["workspaces"],
        }
        self._log = (project / "jupyter.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments],
            cwd=project,
            env=self._environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_for_the_server()

    def _wait_for_the_server(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/api/status?token={self._token}", timeout=5):
                    return
            except OSError:
                assert self._process.poll() is None and time.monotonic() < end, (
                    self.project / "jupyter.log"
                ).read_text()
                time.sleep(0.2)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def set(self, notebook: str, **parameters) -> Path:
        """Give a notebook other defaults, in its parameters cell."""
        path = self.project / "notebooks" / f"{notebook}.ipynb"
        content = nbformat.read(path, as_version=4)
        (cell,) = [cell for cell in content.cells if "parameters" in cell.metadata.get("tags", [])]
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
        nbformat.write(content, path)
        return path

    def trust(self, notebook: Path) -> None:
        """Sign a notebook as its user would."""
        command = [sys.executable, "-m", "jupyter", "trust", str(notebook)]
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def status(self, notebook: str) -> dict:
        """What a notebook that is run by hand says of itself."""
        return read_status(self.project / "outputs" / "manual" / notebook)

    def open(self, tab, notebook: str) -> "OpenNotebook":
        """Open a notebook and wait until its kernel is idle."""
        tab.goto(f"{self.address}/lab/tree/notebooks/{notebook}.ipynb?token={self._token}&reset")
        opened = OpenNotebook(tab, self.project / "notebooks" / f"{notebook}.ipynb")
        opened.wait_until_idle(60)
        return opened


class OpenNotebook:
    """A notebook in a browser's tab."""

    def __init__(self, tab, path: Path):
        self.tab, self.path = tab, path

    def wait_until_idle(self, seconds: float) -> None:
        self.tab.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle")).wait_for(timeout=1000 * seconds)

    def menu(self, *names: str) -> None:
        for name in names[:-1]:
            self.tab.locator("li.lm-MenuBar-item, li.lm-Menu-item").get_by_text(name, exact=True).first.click()
        self.tab.locator("li.lm-Menu-item").get_by_text(re.compile(rf"^{names[-1]}")).first.click()

    def run_all(self) -> None:
        self.menu("Run", "Run All Cells")

    def wait_until_run(self, seconds: float) -> None:
        """Wait until every code cell has run, or one has failed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            prompts = [text.strip() for text in self.tab.locator(".jp-CodeCell .jp-InputArea-prompt").all_inner_texts()]
            if prompts and all(re.fullmatch(r"\[\d+\]:", text) for text in prompts):
                return
            if self.errors():
                return
            time.sleep(0.3)
        raise AssertionError(f"{self.path.stem} did not finish in {seconds:g} s: {prompts}")

    def errors(self) -> list[str]:
        """What failed, as the page shows it."""
        said = self.tab.locator('[data-mime-type="application/vnd.jupyter.stderr"]').all_inner_texts()
        return [text for text in said if "Traceback (most recent call last)" in text]

    def interrupt(self) -> None:
        """Press the stop button."""
        self.tab.locator('[data-command="notebook:interrupt-kernel"], [data-jp-item-name="interrupt"]').first.click()

    def run_from(self, text: str) -> None:
        """Run the cell in which a text stands, and all below it."""
        self.tab.locator(".jp-CodeCell", has_text=text).first.locator(".jp-InputArea-prompt").click()
        self.menu("Run", "Run Selected Cell and All Below")

    def shut_down(self) -> None:
        self.menu("Kernel", "Shut Down Kernel")
        self.tab.locator("#jp-main-statusbar").get_by_text(re.compile(r"No Kernel")).wait_for(timeout=20000)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab of the module's own."""
    opened = Lab(tmp_path_factory.mktemp("lab") / "project")
    yield opened
    opened.close()
