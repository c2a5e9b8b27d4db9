"""A night of two generations, small and real, and what can befall it.

    night = nights("kernel-3")                 # a project of its own
    night.start(); night.wait(0.4)             # a run of the real command line, up to a moment
    night.kill(night.kernels())                # something happens
    night.finish()                             # the same command again, until it is done
    assert night.outcome() == undisturbed      # every artifact and figure, bit for bit; times do not count

Every fault has a seed, from which its moment and its choices follow.
"""

import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

NOTEBOOKS = Path(__file__).parent / "notebooks"
EXPERIMENT = """
name: x
generations: 2
shared: {seed: 3}
stages:
  collect:
    parameters: {policy: "${previous.train.policy}"}
    initial: {policy: ""}
  train:
    parameters: {dataset: "${collect.dataset}", policy: "${previous.train.policy}"}
    initial: {policy: ""}
"""
STAGES = [f"gen_{generation:03d}/{stage}" for generation in (1, 2) for stage in ("01_collect", "02_train")]
_PATIENCE = 120  # seconds for anything that has to happen


class Night:
    """An experiment in a project of its own, run by the real command line.

    Args:
        project: a new folder.
        seed: of the moment and the choices of what befalls it.
        output_dir: where results go, if elsewhere.
        experiment: its YAML.
        options: more of `workbench run`.
    """

    def __init__(
        self,
        project: Path,
        seed: str,
        output_dir: Path | None = None,
        options: tuple[str, ...] = (),
        experiment: str = EXPERIMENT,
    ):
        self.project, self.random, self.options = project, random.Random(seed), options
        self.outputs = output_dir or project / "outputs"
        self.folder = self.outputs / "x"
        self.runs: list[subprocess.Popen] = []
        (project / "notebooks").symlink_to(NOTEBOOKS)
        (project / "x.yaml").write_text(experiment)

    # -- running ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin the run, or go on with it."""
        with (self.project / "said.txt").open("ab") as said:
            self.runs.append(
                subprocess.Popen(
                    [sys.executable, "-m", "workbench.cli", "run", "x.yaml", "--output-dir", str(self.outputs), *self.options],
                    cwd=self.project, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
                    env={**os.environ, "COLUMNS": "160", "JUPYTER_DATA_DIR": str(self.project / "jupyter")},
                )
            )  # fmt: skip

    @property
    def runner(self) -> subprocess.Popen:
        return self.runs[-1]

    def wait(self, length: float) -> None:
        """Wait for a random moment of a run that takes so many seconds when nothing happens, or for the run's end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.runner.wait(self.random.uniform(0.0, length))

    def until(self, condition) -> bool:
        """Wait until something holds; whether it did before the run was over."""
        limit = time.monotonic() + _PATIENCE
        while not (found := condition()) and self.runner.poll() is None:
            assert time.monotonic() < limit, self.said()
            time.sleep(0.02)
        return bool(found)

    def ended(self) -> int:
        """The run's exit code, once it is over."""
        return self.runner.wait(_PATIENCE)

    def finish(self, most: int = 3) -> None:
        """The same command again, until it ends with success; what happened before does not count as such."""
        for _ in range(most):
            self.start()
            if self.ended() == 0:
                return
        pytest.fail(f"not finished after {most} more runs:\n{self.said()}")

    def said(self) -> str:
        return (self.project / "said.txt").read_text(errors="replace")

    # -- what can befall it ----------------------------------------------------------------------------------------

    def kernels(self) -> list[psutil.Process]:
        return self._processes("ipykernel_launcher")

    def stages(self) -> list[psutil.Process]:
        return self._processes("workbench.pipeline.execute")

    def everything(self) -> list[psutil.Process]:
        """The runner and all that it has begun."""
        with contextlib.suppress(psutil.Error):
            runner = psutil.Process(self.runner.pid)
            return [runner, *runner.children(recursive=True)]
        return []

    def _processes(self, name: str) -> list[psutil.Process]:
        found = []
        for process in self.everything()[1:]:
            with contextlib.suppress(psutil.Error):
                if any(name in part for part in process.cmdline()):
                    found.append(process)
        return found

    def kill(self, processes: list[psutil.Process]) -> None:
        """SIGKILL to all of them at once."""
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)  # nobody gets to see another one die
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs([process for process in processes if process.pid != self.runner.pid], timeout=10)

    def artifacts(self) -> list[Path]:
        """Files that finished stages have handed on."""
        found = []
        for result in sorted(self.folder.glob("gen_*/*/result.json")):
            with contextlib.suppress(ValueError, OSError):
                described = json.loads(result.read_text())["artifacts"].values()
                for place in (self.folder / one["path"] for one in described):
                    found += [place] if place.is_file() else sorted(place.rglob("*.*"))
        return [place for place in found if place.exists()]

    def checkpoints(self) -> list[Path]:
        """Files of checkpoints of stages that have not finished."""
        files = sorted(self.folder.glob("gen_*/*/checkpoint/checkpoint.*"))
        return [file for file in files if not (file.parents[1] / "result.json").exists()]

    def records(self, name: str) -> list[Path]:
        return sorted(self.folder.rglob(name))

    def damage(self, files: list[Path]) -> None:
        """Cut a random one of them off, empty it, or fill it with something else."""
        file = self.random.choice(files)
        with contextlib.suppress(FileNotFoundError):  # just replaced, or removed
            content = file.read_bytes()
            ways = (content[: len(content) // 2], b"", self.random.randbytes(len(content)), b"[1, 2")
            with file.open("r+b") as opened:
                opened.truncate()
                opened.write(self.random.choice(ways))

    def delete(self, files: list[Path]) -> None:
        file = self.random.choice(files)
        whole = self.random.random() < 0.5
        shutil.rmtree(file.parent, ignore_errors=True) if whole else file.unlink(missing_ok=True)

    # -- what came of it -------------------------------------------------------------------------------------------

    def outcome(self) -> dict:
        """Every artifact by its content, every figure and every logged line, times left out, by stage."""
        found = {}
        for stage in STAGES:
            folder = self.folder / stage
            result = json.loads((folder / "result.json").read_text())
            assert json.loads((folder / "status.json").read_text())["state"] == "finished"
            contents = {}
            for described in result["artifacts"].values():
                for file in sorted((self.folder / described["path"]).rglob("*.*")):
                    name = file.relative_to(self.folder).as_posix()
                    contents[name] = hashlib.sha256(file.read_bytes()).hexdigest()
            found[stage] = {
                "contents": contents,
                "artifacts": result["artifacts"],
                "metrics": result["metrics"],
                "inputs": result["fingerprint"]["inputs"],
                "logged": _logged(folder / "metrics.jsonl"),
            }
        assert json.loads((self.folder / "experiment.json").read_text())["state"] == "finished"
        return found

    def close(self) -> None:
        """Leave no process behind."""
        for run in self.runs:
            if run.poll() is None:
                self.kill(self.everything())
                run.wait()


def _logged(file: Path) -> list[dict]:
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> tuple[dict, float]:
    """What an undisturbed night leaves, and how many seconds it takes."""
    night = Night(tmp_path_factory.mktemp("undisturbed"), "none")
    begun = time.monotonic()
    night.finish(1)
    outcome = night.outcome()
    assert [len(outcome[stage]["logged"]) for stage in STAGES] == [0, 30, 0, 30]
    return outcome, time.monotonic() - begun


@pytest.fixture(scope="session")
def undisturbed(reference) -> dict:
    return reference[0]


@pytest.fixture(scope="session")
def length(reference) -> float:
    return reference[1]


@pytest.fixture
def nights(tmp_path):
    """Makes nights; leaves nothing of theirs running."""
    made = []

    def _make(seed: str, **settings) -> Night:
        made.append(Night(tmp_path, seed, **settings))
        return made[-1]

    yield _make
    for night in made:
        night.close()


class SmallDisk:
    """A file system of its own, of sixteen megabytes."""

    is_real, error = True, "No space left on device"

    def __init__(self, folder: Path):
        self.folder = folder

    def fill(self, night: Night) -> None:
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"1" * 65536)

    def free(self) -> None:
        (self.folder / "filler").unlink()


class NoMoreWrites:
    """Where nothing can be mounted: every process is forbidden to write to files at all (EFBIG in place of ENOSPC)."""

    is_real, error = False, "File too large"

    def __init__(self, folder: Path):
        self.folder = folder

    def fill(self, night: Night) -> None:
        for process in night.everything():
            with contextlib.suppress(psutil.Error):
                process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def free(self) -> None:
        """The limit went with the processes."""


@pytest.fixture
def disk(tmp_path):
    """A disk that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield NoMoreWrites(folder)
        return
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)
