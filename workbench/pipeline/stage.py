"""A notebook's own view of its run: where it writes, what it logs, how far it is, what it hands on.

    stage = wb.stage(output_dir, seed)
    stage.log({"losses/policy_loss": 0.1}, step=1)
    stage.progress(1, 100)
    stage.finish(policy=stage.folder / "policy", metrics={"win_rate": 0.7})

The same lines work under `workbench run`, under papermill, and by hand in JupyterLab.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import threading
import time
from html import escape
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.dependencies import code_used
from workbench.pipeline.files import hash_path, read_json, to_plain, write_json
from workbench.pipeline.folder import has_checkpoint
from workbench.pipeline.in_notebook import Watch, live_view, notebook_name, shell, show_result
from workbench.pipeline.loggers import Forgiving, MetricsFile, TensorBoardFile
from workbench.pipeline.provenance import Stopwatch, by_hand, device, provenance
from workbench.pipeline.seeding import seed_everything
from workbench.pipeline.status import Pace, this_process, timestamp
from workbench.pipeline.wandb_mirror import WandbMirror, wandb_mode

REQUEST_VARIABLE = "WORKBENCH_STAGE_REQUEST"
"""Environment variable by which the runner tells a notebook's kernel where its `request.json` lies."""
_PROGRESS_EVERY = 0.25  # seconds between two writes of the progress file
_DIGITS = re.compile(r"\d+")  # "update 12" is no news after "update 11"


class StageError(RuntimeError):
    """A stage used in a way that would leave something untrue behind."""


def stage(output_dir: str | Path = "", seed: int = 0, *, name: str | None = None, resume: bool = False) -> Stage:
    """Open the stage of this notebook: its folder is made, its randomness seeded, its status begun.

    Args:
        output_dir: the folder to write to; empty means `outputs/manual/<notebook>` in the project's folder. The runner
            sets it.
        seed: for python, numpy and torch; pass it on to trainers and envs, which do not read global generators.
        name: by hand: what the stage is called; without it the notebook's name, where that can be found out.
        resume: by hand only: keep all that an earlier run left in the folder, and go on from its checkpoint, if there
            is one. Without it an earlier run's files are removed.

    Raises:
        StageError: the folder holds files that no stage has written.
    """
    request = _request_for(output_dir)
    name = request.get("stage") or name or notebook_name() or "notebook"
    folder = Path(output_dir) if str(output_dir) else project_folder() / "outputs" / "manual" / name
    if request:
        resume = bool(request["resuming"])
    else:
        _prepare_by_hand(folder, resume)
    folder.mkdir(parents=True, exist_ok=True)
    opened = Stage(folder, seed, name=name, resuming=resume, request=request)
    seed_everything(seed)
    opened._begin()
    return opened


def project_folder(start: Path | str = ".") -> Path:
    """The nearest folder from `start` upwards that holds `pyproject.toml` or `.git`; `start` itself where none does."""
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").exists() or (folder / ".git").exists():
            return folder
    return start


class Stage:
    """What `stage()` opens. One process writes to a stage at a time.

    Attributes:
        folder: where everything of this stage goes.
        seed, name: as given.
        experiment, generation: of the run this stage belongs to; `"manual"` and 0 by hand.
        resuming: an earlier run of this very stage was cut off and has left a checkpoint: go on from `checkpoint_folder`.
            Other files that it wrote are there in either case; its metrics only if this is true.
    """

    def __init__(self, folder: Path, seed: int, *, name: str, resuming: bool, request: dict):
        self.folder, self.seed, self.name = Path(folder), seed, name
        self.resuming = resuming and has_checkpoint(self.folder / "checkpoint")
        if not self.resuming:  # the notebook begins anew, so its metrics do; work of other kinds stays
            (self.folder / "metrics.jsonl").unlink(missing_ok=True)
            for mirrored in ("tensorboard", "wandb"):
                shutil.rmtree(self.folder / mirrored, ignore_errors=True)
        self.experiment: str = request.get("experiment", "manual")
        self.generation: int = request.get("generation", 0)
        self.result: dict | None = None
        self._request = request
        self._supervised = bool(request)
        self._status_path = self.folder / ("progress.json" if self._supervised else "status.json")
        self._metrics = MetricsFile(self.folder / "metrics.jsonl")
        self._mirrors = [Forgiving(TensorBoardFile(self.folder / "tensorboard")), *self._wandb()]
        self._live = Forgiving(live_view(self.folder)) if not self._supervised else None
        self._pace, self._watch = Pace(), Stopwatch()
        self._written = 0.0
        self._lock = threading.RLock()
        self._status = {
            "state": states.RUNNING,
            "message": "",
            "stage": name,
            "process": this_process(),
            "started": timestamp(),
            "note": "",
            "done": None,
            "total": None,
            "pace": None,
            "eta": None,
            "provenance": self._provenance(),
        }

    def _wandb(self) -> list[Forgiving]:
        """The mirror of the metrics in W&B, where it is asked for."""
        mode = wandb_mode(self._request.get("wandb"))
        if mode == "off":
            return []
        about = {
            "mode": mode,
            "project": os.environ.get("WANDB_PROJECT") or self.experiment,
            "group": f"{self.experiment} generation {self.generation}" if self._supervised else None,
            "name": f"{self.name} {self.generation}" if self._supervised else self.name,
            "job_type": self.name,
            "config": to_plain({**self._request.get("parameters", {}), "seed": self.seed}),
        }
        return [Forgiving(WandbMirror(self.folder, about))]

    @property
    def checkpoint_folder(self) -> Path:
        """Where the trainer keeps what it needs to go on after a run that was cut off."""
        folder = self.folder / "checkpoint"
        folder.mkdir(exist_ok=True)
        return folder

    def path(self, name: str) -> Path:
        """A path in the stage's folder, its parents made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, metrics: dict, step: int) -> None:
        """Append one line to `metrics.jsonl` (and TensorBoard): names as CleanRL's, `losses/policy_loss`, `charts/SPS`.

        Raises:
            OSError: `metrics.jsonl` cannot be written; the other loggers never stop a run.
        """
        moment, plain = time.time(), to_plain(metrics)
        self._metrics.append(plain, step, moment)
        for mirror in self._mirrors:
            mirror.append(plain, step, moment)

    def rewind(self, step: int) -> None:
        """Forget metrics logged after `step`: to be called when a trainer has gone back to a checkpoint of that step."""
        self._metrics.rewind(step)
        for mirror in self._mirrors:
            mirror.rewind(step)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the stage is, in units of its own; pace and time left follow. Cheap enough for every update."""
        with self._lock:
            news = note != "" and _DIGITS.sub("", note) != _DIGITS.sub("", self._status["note"])
            self._status.update(done=done, total=total, note=note or self._status["note"])
            if time.monotonic() - self._written < _PROGRESS_EVERY and not news:
                return
            self._status.update(self._pace.update(done, total))
            self._write_status()
            if self._live is not None:
                self._live.progress(self._status)

    def heartbeat(self, note: str = "") -> None:
        """Say that the stage is alive, and in words what it does; done and total stay as they were."""
        with self._lock:
            self._status["note"] = note or self._status["note"]
            self._write_status()

    def finish(self, metrics: dict | None = None, **artifacts) -> None:
        """Write `result.json`: what later stages may refer to, and where it all comes from; `stage.result` has it too.

        It holds `artifacts` (paths relative to the experiment's folder, with hashes of their content), `metrics` and
        `provenance`. A metric may be a number or a number with its interval, `[value, low, high]`; the pages draw those
        of one prefix (`rating/a`, `rating/b`) on one scale.

        Args:
            metrics: figures that sum the stage up.
            artifacts: files or folders by name, or lists or dicts of them: `policy=stage.folder / "policy"`.

        Raises:
            StageError: an artifact that does not exist, or a stage that has finished already.
        """
        if self.result is not None:
            raise StageError(f"{self.name}: finish() was called before; a stage has one result, open it anew")
        described = {name: self._describe(name, value) for name, value in artifacts.items()}
        result = {
            "stage": self.name,
            "experiment": self.experiment,
            "generation": self.generation,
            "finished": timestamp(),
            "artifacts": described,
            "metrics": to_plain(metrics or {}),
            "fingerprint": self._fingerprint(),
            # the device is known only now that torch has been used, or has not
            "provenance": {**self._status["provenance"], "device": device(), **self._watch.read()},
        }
        write_json(self.folder / "result.json", result, durable=True)
        self.result = result
        self._status["eta"] = 0.0
        self.close(states.FINISHED)
        show_result(result)

    def _describe(self, name: str, value):
        """`{"path", "hash"}` of an artifact; lists and dicts item by item."""
        if isinstance(value, dict):
            return {key: self._describe(f"{name}.{key}", item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._describe(f"{name}[{index}]", item) for index, item in enumerate(value)]
        if not isinstance(value, (str, Path)) or not Path(value).exists():
            raise StageError(
                f"{self.name}: finish({name}=...): expected the path of a file or folder that exists, got {str(value)!r}; "
                "figures go into metrics={...}"
            )
        base = self.experiment_folder.resolve()
        path = Path(os.path.relpath(Path(value).resolve(), base))
        return {"path": path.as_posix(), "hash": hash_path(value)}

    @property
    def experiment_folder(self) -> Path:
        """The folder of the experiment; by hand the stage's own."""
        return self.folder / self._request.get("experiment_folder", ".")

    def _provenance(self) -> dict:
        origin = provenance(project_folder())
        asked = {
            key: self._request[key] for key in ("notebook", "parameters", "inputs", "parents") if key in self._request
        }
        if not asked and (running := shell()) is not None:
            asked = by_hand(os.environ.get("JPY_SESSION_NAME"), running.user_ns)
        return {**asked, "seed": self.seed, **origin, "resumed": self.resuming}

    def _fingerprint(self) -> dict | None:
        """What the runner asked for, its code narrowed down to the files that were used, as they were at the start."""
        asked = self._request.get("fingerprint")
        if not asked:
            return None
        used = code_used(self._request.get("parameters"))
        return {**asked, "code": {name: asked["code"].get(name, found) for name, found in used.items()}}

    def _begin(self) -> None:
        (self.folder / "result.json").unlink(missing_ok=True)
        self._write_status()
        atexit.register(self._at_exit)
        if threading.current_thread() is threading.main_thread():
            self._previous_handler = signal.signal(signal.SIGTERM, self._on_sigterm)
        running = shell()
        if running is not None:
            Watch.install(running, self)

    def _write_status(self) -> None:
        self._written = time.monotonic()
        self._status["updated"] = timestamp()
        write_json(self._status_path, self._status)

    def _set_state(self, state: str, message: str = "") -> None:
        with self._lock:
            if self.result is None or state == states.FINISHED:
                self._status.update(state=state, message=message)
                self._write_status()

    def close(self, state: str = states.INTERRUPTED, message: str = "") -> None:
        """Write down how it ended, and let go of the files; `finish` does so too."""
        self._set_state(state, message)
        self._metrics.close()
        for mirror in self._mirrors:
            mirror.close(state == states.FINISHED)

    def cell_begins(self) -> None:
        """A cell of the notebook begins: a stage that was stopped or failed goes on."""
        self._status["note"] = ""  # what the cell before did
        if self._live is not None:
            self._live.begin_cell()
        if self.result is None and self._status["state"] != states.RUNNING:
            self._set_state(states.RUNNING)

    def cell_ended(self, error: BaseException | None) -> None:
        """A cell of the notebook has ended: write down how, where that was not well."""
        state, words = states.FINISHED, ""
        if isinstance(error, KeyboardInterrupt):
            state, words = states.INTERRUPTED, "stopped by the user"
        elif error is not None:
            state, words = states.FAILED, f"{type(error).__name__}: {error}"[:2000]
        if self._live is not None:
            self._live.end_cell(state, words and f"{words}; run the cell again to go on")
        if error is not None and self.result is None:
            self._set_state(state, words)

    def _at_exit(self) -> None:
        if self.result is None and self._status["state"] == states.RUNNING and self.folder.is_dir():
            self.close(states.INTERRUPTED, "the kernel ended before stage.finish()")

    def _on_sigterm(self, number, frame) -> None:
        if self.result is None:
            self.close(states.INTERRUPTED, "stopped by SIGTERM")
        signal.signal(signal.SIGTERM, self._previous_handler or signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def _repr_html_(self) -> str:
        where = "" if self.experiment == "manual" else f" of {escape(self.experiment)}, generation {self.generation}"
        went_on = ", going on from its checkpoint" if self.resuming else ""
        folder = escape(Path(os.path.relpath(self.folder)).as_posix())
        return f"Stage <b>{escape(self.name)}</b>{where}{went_on}: seed {self.seed}, writing to <code>{folder}</code>"

    def __repr__(self) -> str:
        return (
            f"Stage({self.name!r}, folder={os.path.relpath(self.folder)!r}, seed={self.seed}, resuming={self.resuming})"
        )


def _request_for(output_dir: str | Path) -> dict:
    """What the runner asked of the stage in this folder; {} where no runner did."""
    path = os.environ.get(REQUEST_VARIABLE)
    if not path or not str(output_dir) or Path(path).resolve().parent != Path(output_dir).resolve():
        return {}
    return read_json(path, {})


def _prepare_by_hand(folder: Path, resume: bool) -> None:
    """Empty the folder of an earlier run by hand, unless it is to be continued.

    Raises:
        StageError: the folder holds something, and no `status.json` says that a stage wrote it.
    """
    if not folder.exists() or resume:
        return
    if any(folder.iterdir()) and not (folder / "status.json").exists():
        raise StageError(
            f"{folder}: not empty, and not written by a stage; choose another output_dir, or empty it yourself"
        )
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()
