"""Hands a run to another person: an experiment, a sweep or a stage as one folder or zip that opens anywhere.

Everything that is shown is in it: pages, reports, executed notebooks, results, metrics, tables and figures. Policies and
data only when asked. All links are relative and lead somewhere; nothing tells who made it, or on which machine.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from urllib.parse import unquote

from workbench.pipeline.files import write_atomic, write_json
from workbench.pipeline.index import render as render_index
from workbench.pipeline.overview import read_experiment
from workbench.pipeline.page import fold, table
from workbench.pipeline.report import write_report
from workbench.pipeline.scrub import Identity, scrubbed, traces

_SHOWN = {".html", ".ipynb", ".json", ".jsonl", ".csv", ".txt", ".md", ".png", ".jpg", ".jpeg", ".svg"}
_NEVER = {"checkpoint", "tensorboard", "wandb", ".ipynb_checkpoints", "__pycache__"}
_NOT_FOR_OTHERS = {"progress.json", "run.lock"}
_LARGEST = 20_000_000  # bytes of a file that is only shown
_LINK = re.compile(r'(<[^<>]*?)\s(href|src)="([^"]*)"')
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say: it says nothing about when or where
POLICIES, DATA, LARGE = "policies", "data", "large files"


class ShareError(RuntimeError):
    """A run that cannot be handed out as asked."""


@dataclass(frozen=True)
class Settings:
    """What is handed out.

    Args:
        policies: the policies too, weights and all.
        data: recorded games and other data too, as they are.
        zipped: as one zip instead of a folder.
        hide: names to take out beyond this user's and this machine's.
    """

    policies: bool = False
    data: bool = False
    zipped: bool = False
    hide: tuple[str, ...] = ()


@dataclass
class _Contents:
    """How many files, and bytes, went in or stayed behind."""

    taken: dict[str, list[int]] = field(default_factory=dict)
    left: dict[str, list[int]] = field(default_factory=dict)

    def count(self, kind: str, size: int, taken: bool) -> None:
        found = (self.taken if taken else self.left).setdefault(kind, [0, 0])
        found[0] += 1
        found[1] += size


def share(run: Path | str, output: Path | str | None = None, settings: Settings | None = None) -> Path:
    """Write a run into a folder or a zip of its own, to be given away.

    Args:
        run: the folder of an experiment, of a sweep, or of one stage.
        output: what to write, by default `<run>-shared` where the command runs; a zip's name ends in `.zip`.

    Returns:
        the folder or the zip; `index.html` in it is where to begin.

    Raises:
        FileNotFoundError: the folder is none of the three.
        FileExistsError: there is something at the output already.
        ShareError: a name or a path could not be taken out of some file, which would have told it.
    """
    run, settings = Path(run), settings or Settings()
    identity = Identity.here(settings.hide)
    name = identity.scrub(run.resolve().name)
    output = Path(output) if output else Path(f"{name}-shared")
    if settings.zipped and output.suffix != ".zip":
        output = output.with_name(f"{output.name}.zip")
    if output.exists():
        raise FileExistsError(f"{output}: exists already; remove it, or choose another --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{name}-") as scratch:
        folder = Path(scratch) / (output.stem if settings.zipped else output.name)
        folder.mkdir()
        _fill(run, folder, identity, settings)
        for page in folder.rglob("*.html"):
            write_atomic(page, linked(page, folder))
        _refuse_traces(folder, identity)
        if settings.zipped:
            _zip(folder, Path(scratch) / "shared.zip")
            folder = Path(scratch) / "shared.zip"
        folder.chmod(0o644 if settings.zipped else 0o755)
        folder.rename(output)
    return output


def _fill(run: Path, folder: Path, identity: Identity, settings: Settings) -> None:
    contents = _Contents()
    if (run / "sweep.json").is_file():
        for file in _files(run, deep=False):
            if file.suffix in _SHOWN:
                _copy(file, folder / identity.scrub(file.name), identity)
        for member in sorted(path.parent for path in run.glob("*/experiment.json")):
            _experiment(member, folder / identity.scrub(member.name), identity, settings, _Contents())
        if not (folder / "index.html").exists():
            raise ShareError(f"{run}: the sweep has no index.html yet; `workbench report {run.name}` writes it")
    elif (run / "experiment.json").is_file():
        _experiment(run, folder, identity, settings, contents)
    elif (run / "notebook.ipynb").is_file():
        _stage(run, folder, identity, settings, contents)
        write_report(folder).rename(folder / "index.html")
    else:
        raise FileNotFoundError(f"{run}: neither an experiment nor a sweep nor a stage that has run")


def _experiment(run: Path, folder: Path, identity: Identity, settings: Settings, contents: _Contents) -> None:
    folder.mkdir(exist_ok=True)
    experiment = read_experiment(run)
    inside = [
        entry for entry in experiment["stages"] if (run / entry["folder"]).resolve().is_relative_to(run.resolve())
    ]
    experiment["stages"] = inside  # somebody's experiment may point out of its folder
    for entry in inside:
        entry.pop("progress", None)
        place = run / entry["folder"]
        if not place.is_dir():
            continue
        target = folder / identity.scrub(entry["folder"])
        _stage(place, target, identity, settings, contents)
        if (target / "notebook.ipynb").is_file():
            write_report(target)
    experiment.pop("process", None)
    write_json(folder / "experiment.json", experiment)
    found = scrubbed(folder / "experiment.json", identity)
    if found is not None:
        (folder / "experiment.json").write_bytes(found)
    write_atomic(folder / "index.html", render_index(folder, read_experiment(folder), note=_note(contents)))


def _stage(run: Path, folder: Path, identity: Identity, settings: Settings, contents: _Contents) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {POLICIES: settings.policies, DATA: settings.data, LARGE: False}
    for file in _files(run):
        kind = _kind(file, run)
        size = file.stat().st_size
        contents.count(kind or _word(file), size, taken=wanted.get(kind, True))
        if wanted.get(kind, True):
            _copy(file, folder / identity.scrub(file.relative_to(run).as_posix()), identity)


def _files(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """The files of a folder that may be handed out; links are not followed, they may lead out of it."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if deep and name not in _NEVER and not name.startswith("."))
        for name in sorted(names):
            file = Path(place) / name
            if name not in _NOT_FOR_OTHERS and not name.startswith(".") and not file.is_symlink():
                yield file


def _kind(file: Path, run: Path) -> str:
    """Whether a file is of a policy, data, or too large; "" of what is shown, as is what a policy says of itself."""
    inside = [folder for folder in file.parents if folder != run and folder.is_relative_to(run)]
    if file.name != "policy.json" and any((folder / "policy.json").is_file() for folder in inside):
        return POLICIES
    if file.suffix not in _SHOWN:
        return DATA
    return LARGE if file.stat().st_size > _LARGEST and file.parent != run else ""


def _word(file: Path) -> str:
    """What sort of thing a shown file is."""
    if file.name in ("report.html", "notebook.ipynb", "metrics.jsonl", "result.json"):
        return {"report.html": "reports", "notebook.ipynb": "executed notebooks", "metrics.jsonl": "training metrics", "result.json": "results"}[file.name]  # fmt: skip
    return "figures" if file.suffix in (".png", ".jpg", ".jpeg", ".svg") else "tables and other files"


def _copy(source: Path, target: Path, identity: Identity) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = scrubbed(source, identity)
    if content is None:
        shutil.copyfile(source, target)
    else:
        target.write_bytes(content)


def _note(contents: _Contents) -> str:
    """What is in the folder, and what is not."""

    def words(found: dict[str, list[int]]) -> list[list[str]]:
        return [[escape(kind), f"{files:,}", f"{size / 1e6:,.1f} MB"] for kind, (files, size) in sorted(found.items())]

    inside = table(["", "files", ""], words(contents.taken), numbers=(1, 2))
    outside = table(["", "files", ""], words(contents.left), numbers=(1, 2))
    left = f"<h3>left out</h3>{outside}" if contents.left else ""
    said = "<p>Names of the user and the machine and their folders are taken out; numbers and pictures are as they were.</p>"
    return fold("what is in this folder, and what is not", inside + left + said)


def linked(page: Path, top: Path) -> str:
    """A page of which links to files that are not there, or lead out of the folder, are links no more."""

    def keep(match: re.Match) -> str:
        target = unquote(unescape(match[3])).partition("#")[0].partition("?")[0]
        if not target or re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.IGNORECASE):
            return match[0]
        found = Path(os.path.normpath(page.parent / target))
        return match[0] if found.is_file() and found.is_relative_to(top) else match[1]

    text = page.read_text(encoding="utf-8")
    while (new := _LINK.sub(keep, text)) != text:
        text = new
    return text


def _refuse_traces(folder: Path, identity: Identity) -> None:
    told = {}
    for file in sorted(folder.rglob("*")):
        named = identity.traces(file.relative_to(folder).as_posix())
        left = named + (traces(file, identity) if file.is_file() else [])
        if left:
            told[file.relative_to(folder).as_posix()] = left
    if told:
        listed = "; ".join(f"{name} ({', '.join(left)})" for name, left in list(told.items())[:5])
        raise ShareError(
            f"{len(told)} files would tell who made them or where, and it could not be taken out: {listed}. "
            "Nothing was written. Leave them out (without --policies, --datasets), or change what made them"
        )


def _zip(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(item for item in folder.rglob("*") if item.is_file()):
            about = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder).as_posix()}", _LONG_AGO)
            about.external_attr = 0o644 << 16
            about.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(about, file.read_bytes())
