"""Stages that the combinations of a sweep have in common are run once: the others take them over.

A stage is the same in two combinations if its notebook, its parameters, the content of its inputs and the code it uses are.
Paths inside the own experiment's folder count by what follows, since they differ from combination to combination.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from nbformat.sign import NotebookNotary

from workbench.files import PARTIAL
from workbench.pipeline import status as states
from workbench.pipeline.files import hash_json, read_json, write_atomic, write_json
from workbench.pipeline.fingerprint import damage, differences, only_code_differs
from workbench.pipeline.folder import ABOUT_THE_RUN, clear, has_work
from workbench.pipeline.notebook_io import nbformat, read_notebook
from workbench.pipeline.report import write_report
from workbench.pipeline.status import read_status, this_process, timestamp
from workbench.pipeline.supervise import Supervised, end_leftovers, write_end

Start = Callable[[Path, float | None], Supervised]
LOCKS = ".same"  # in the sweep's folder: one file a stage that several combinations may have in common
_OWN = "<experiment>/"
_WRITTEN_ANEW = ABOUT_THE_RUN - {"thumbnail.png"}


class SharedStage:
    """A stage of one of a sweep's combinations: taken over from one that has it, waited for while one makes it, else run.

    It waits and stops as `Supervised` does.

    Args:
        folder: the stage's, with its `request.json`; its experiment's folder lies in the sweep's.
        time_limit: seconds it may run, once it does.
        start: called with the two, starts it if it has to be run.
        any_code: take over also what older code of the library has made.
    """

    def __init__(
        self, folder: Path, time_limit: float | None = None, start: Start = Supervised, *, any_code: bool = False
    ):
        self.folder, self._time_limit, self._start, self._any_code = folder, time_limit, start, any_code
        self._request = read_json(folder / "request.json")
        self._experiment = _experiment_of(folder, self._request)
        self._place = Path(os.path.relpath(folder, self._experiment))  # gen_001/04_collect
        self._asked = _portable(self._request["fingerprint"], self._experiment)
        self._process: Supervised | None = None
        key = hash_json([self._place.as_posix(), *(self._asked[kind] for kind in ("notebook", "parameters", "inputs"))])
        self._lock = _Turn(self._experiment.parent / LOCKS / key)

    def wait(self, tick, interval: float = 0.25) -> str:
        """Wait for the end, calling `tick(status)` now and then; returns the state the stage ended in."""
        while not self._lock.take(self._experiment.name):
            tick(self._say_waiting(self._lock.holder()))
            time.sleep(interval)
        made = self._made_by_another()
        if made is not None:
            take_over(made, self.folder)
            self._lock.release()
            return states.FINISHED
        self._take_up_what_another_began()
        self._process = self._start(self.folder, self._time_limit)
        state = self._process.wait(tick, interval)
        self._lock.release()
        return state

    def stop(self, *arguments) -> str:
        """Ask the stage to end, kill it if it does not; returns the state it ended in."""
        if self._process is None:
            state = write_end(self.folder, states.INTERRUPTED, "stopped before it began")
        else:
            state = self._process.stop(*arguments)
        self._lock.release()
        return state

    def _say_waiting(self, holder: str) -> dict:
        status = read_json(self.folder / "status.json", {})
        note = f"waits for {holder or 'another combination'}, which makes the same"
        if status.get("note") != note:
            status = {key: self._request[key] for key in ("stage", "experiment", "generation", "attempt")}
            status |= {"state": states.RUNNING, "message": "", "note": note, "cell": None, "error": None, "ended": None}
            status |= {"process": this_process(), "started": timestamp(), "updated": timestamp()}
            write_json(self.folder / "status.json", status)
        return status

    def _elsewhere(self, name: str) -> list[Path]:
        """That file of this stage in the other combinations."""
        found = sorted(self._experiment.parent.glob(f"*/{self._place.as_posix()}/{name}"))
        return [file for file in found if file.parent != self._experiment / self._place]

    def _made_by_another(self) -> Path | None:
        """The folder of the same stage, finished, in another combination."""
        return next((file.parent for file in self._elsewhere("result.json") if self._is_same(file)), None)

    def _fits(self, made: dict) -> bool:
        return not differences(made, self._asked) or (self._any_code and only_code_differs(made, self._asked))

    def _take_up_what_another_began(self) -> None:
        """Go on with what another combination has left of the same stage unfinished, if this one has nothing of its own."""
        if has_work(self.folder):
            return
        for file in self._elsewhere("request.json"):
            if has_work(file.parent) and self._was_asked_the_same(file):
                end_leftovers(file.parent)
                _copy_work(file.parent, self.folder)
                self._request |= {"resuming": True, "attempt": self._request["attempt"] + 1}
                write_json(self.folder / "request.json", self._request)
                return

    def _was_asked_the_same(self, file: Path) -> bool:
        experiment = file.parents[len(self._place.parts)]
        try:
            request, result = read_json(file), read_json(file.with_name("result.json"))
        except ValueError:  # damaged
            return False
        then = _portable(request["fingerprint"], experiment)
        code = {name: found for name, found in then["code"].items() if name in request["reached"]}
        altered = result is not None and damage(
            result, experiment
        )  # it may have been cut off after its last cell's work
        return not altered and not differences({**then, "code": code}, self._asked)

    def _is_same(self, file: Path) -> bool:
        experiment = file.parents[len(self._place.parts)]
        try:
            result, status = read_json(file), read_status(file.parent)
        except ValueError:  # damaged: of no use to anybody
            return False
        made = result.get("fingerprint")
        return (
            status.get("state") == states.FINISHED
            and bool(made)
            and self._fits(_portable(made, experiment))
            and _within(result["artifacts"], self._place.as_posix() + "/")
            and not damage(result, experiment)
        )


class _Turn:
    """A lock between processes, given up by the system when its holder ends in whichever way; the file names the holder."""

    def __init__(self, path: Path):
        self._path, self._handle = path, None

    def take(self, name: str) -> bool:
        """Take it in `name`'s name, if nobody has it."""
        self._path.parent.mkdir(exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, name.encode(), 0)
        self._handle = handle
        return True

    def holder(self) -> str:
        """Who has it, as far as the file says."""
        return self._path.read_text(errors="replace")

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def take_over(made: Path, folder: Path) -> None:
    """Fill a stage's folder, in which its request lies, with what another combination has made of the same request.

    Files are hard links where the file system allows, else copies. What says whose they are is written anew: `result.json`
    and `status.json` name where they come from under `shared_from`, their paths are those of the new place.
    """
    request = read_json(folder / "request.json")
    clear(folder)
    write_json(folder / "request.json", request)
    there, here = _experiment_of(made, request), _experiment_of(folder, request)
    _link_files(made, folder)
    result, status = read_json(made / "result.json"), read_json(made / "status.json")
    origin = result.get("shared_from") or {
        "experiment": result["experiment"], "folder": Path(os.path.relpath(made, folder)).as_posix(),
    }  # fmt: skip
    made_by = {**request["fingerprint"], "code": result["fingerprint"]["code"]}
    moved = {**_moved(result, there, here), "experiment": request["experiment"], "shared_from": origin}
    write_json(folder / "result.json", {**moved, "fingerprint": made_by}, durable=True)
    _write_notebook(made, folder, request, moved)
    now = {
        "experiment": request["experiment"],
        "shared_from": origin,
        "updated": timestamp(),
        "process": this_process(),
    }
    write_json(folder / "status.json", {**_moved(status, there, here), **now})
    write_report(folder)


def shared(folder: Path) -> dict:
    """What an experiment says of a stage that it took over from another: whose it is and how long it took there."""
    result = read_json(folder / "result.json")
    if "shared_from" not in result:
        return {}
    made_by = result["shared_from"]["experiment"]
    return {"shared_from": made_by, "why": f"made by {made_by}", "took": result["provenance"]["wall_seconds"]}


def _experiment_of(folder: Path, request: dict) -> Path:
    return Path(os.path.normpath(folder.absolute() / request["experiment_folder"]))


def _link_files(made: Path, folder: Path) -> None:
    for item in sorted(made.rglob("*")):
        inside = item.relative_to(made)
        if inside.parts[0] in _WRITTEN_ANEW or inside.parts[0].startswith("."):
            continue
        if item.is_dir() and not item.is_symlink():
            (folder / inside).mkdir(parents=True, exist_ok=True)
            continue
        try:
            os.link(item, folder / inside, follow_symlinks=False)
        except OSError:  # another disk, or one that knows no links
            shutil.copy2(item, folder / inside, follow_symlinks=False)


def _copy_work(begun: Path, folder: Path) -> None:
    """Copy what a stage that was cut off has done, first its files, last the checkpoint that has them counted on."""
    part = folder / f".taken{PARTIAL}"
    ignored = shutil.ignore_patterns(*ABOUT_THE_RUN, ".*")
    shutil.copytree(begun, part, ignore=ignored, symlinks=True, dirs_exist_ok=True)
    for item in sorted(part.iterdir(), key=lambda item: item.name == "checkpoint"):
        item.rename(folder / item.name)
    part.rmdir()


def _write_notebook(made: Path, folder: Path, request: dict, result: dict) -> None:
    """The executed notebook, with the new place's stamp."""
    notebook = read_notebook(made / "notebook.ipynb")
    stamp = notebook.metadata.setdefault("workbench", {})
    stamp["request"] = {key: value for key, value in request.items() if key != "injected"}
    stamp["provenance"], stamp["shared_from"] = result["provenance"], result["shared_from"]
    write_atomic(folder / "notebook.ipynb", nbformat.writes(notebook))
    NotebookNotary().sign(notebook)


def _portable(fingerprint: dict, experiment: Path) -> dict:
    """A fingerprint in which the path of the experiment's folder is the same for all experiments."""
    prefix = _prefix(experiment)
    return {
        **fingerprint,
        "parameters": _replaced(fingerprint["parameters"], prefix, _OWN),
        "inputs": {key.replace(prefix, _OWN): value for key, value in fingerprint["inputs"].items()},
    }


def _moved(value, there: Path, here: Path):
    """A value with the paths below one experiment's folder made paths below another's."""
    return _replaced(value, _prefix(there), _prefix(here))


def _prefix(experiment: Path) -> str:
    """How the paths of an experiment's files begin, as notebooks are given them: relative to where the command runs."""
    return Path(os.path.relpath(experiment)).as_posix() + "/"


def _replaced(value, before: str, after: str):
    if isinstance(value, dict):
        return {key: _replaced(item, before, after) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, before, after) for item in value]
    return value.replace(before, after) if isinstance(value, str) else value


def _within(artifacts, prefix: str) -> bool:
    """Whether all artifacts lie in one folder."""
    if isinstance(artifacts, list):
        return all(_within(item, prefix) for item in artifacts)
    if "path" in artifacts and isinstance(artifacts["path"], str):
        return (artifacts["path"] + "/").startswith(prefix)
    return all(_within(item, prefix) for item in artifacts.values())
