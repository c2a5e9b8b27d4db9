"""Train game-playing agents in notebooks: run experiments, look at them, and see what a machine still needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.signals import exit_codes

REFUSED, LOCKED, DISAGREES, UNEXPECTED = 2, 3, 8, 70


class _App(typer.Typer):
    """Errors are one clear message; `--debug`, anywhere on the line, shows where they come from."""

    def __call__(self, *arguments, **settings):
        debug = "--debug" in sys.argv
        sys.argv[:] = [argument for argument in sys.argv if argument != "--debug"]
        try:
            with exit_codes():
                return super().__call__(*arguments, **settings)
        except Exception as error:
            if debug:
                raise
            expected = isinstance(error, (ValueError, FileNotFoundError, RuntimeError)) and str(error)
            _err.print(
                Text(str(error) if expected else f"{type(error).__name__}: {error}", style="red"), soft_wrap=True
            )
            if not expected:
                _err.print("not foreseen; --debug shows where it comes from")
            sys.exit(_exit_code(error) if expected else UNEXPECTED)


def _exit_code(error: Exception) -> int:
    from workbench.pipeline.lock import Locked

    return LOCKED if isinstance(error, Locked) else REFUSED


app = _App(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help=__doc__,
    epilog="--debug shows tracebacks.",
)
_out, _err = Console(highlight=False, width=None if sys.stdout.isatty() else 160), Console(stderr=True, highlight=False)
_OutputDir = Annotated[Path, typer.Option(help="the folder that experiments go to")]
_Executor = Annotated[
    str, typer.Option(help="where stages, matches and collecting go: a Dask scheduler such as dask://10.0.0.5:8786")
]


@app.command()
def run(
    experiment: Annotated[
        Path,
        typer.Argument(help="an experiment's YAML file, e.g. params/quickstart.yaml, or its folder, to go on with it"),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="stage.parameter=value, shared.seed=1, generations=3")
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option(help="run this stage again although nothing changed (may be repeated)")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="when a stage fails, run whatever does not refer to it nevertheless")
    ] = False,
    keep_results: Annotated[
        bool, typer.Option("--keep-results", help="use results that older code of the library has made")
    ] = False,
    until: Annotated[
        str,
        typer.Option(
            help="be over by 07:30 (or 2030-01-31T07:30): begin nothing that takes longer, stop what runs then"
        ),
    ] = "",
    min_disk: Annotated[str, typer.Option(help="disk that has to stay free; 0 turns the check off")] = "1G",
    min_memory: Annotated[str, typer.Option(help="memory that has to stay free; 0 turns the check off")] = "250M",
    allow_path: Annotated[
        list[Path] | None,
        typer.Option(help="a folder outside the experiment's that its parameters may name (may be repeated)"),
    ] = None,
    on_finish: Annotated[str, typer.Option(help="a command to run after the end; a JSON summary is on its input")] = "",
    webhook: Annotated[str, typer.Option(help="an http address that the JSON summary is POSTed to after the end")] = "",
    executor: _Executor = "",
    name: Annotated[str, typer.Option(help="what to call it and its folder, instead of the file's own name")] = "",
    iterations: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="how many generations in all, the same as generations=N: more than a finished run had extend it, "
            "and those that are finished are skipped",
        ),
    ] = None,
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Run an experiment, or go on with it: finished stages are skipped, one that was cut off goes on from what it has done.

    Ends with 0 if all finished, 1 if a cell failed, 2 if refused before the start, 3 if somebody else runs it,
    4 if a stage was killed, 5 if out of time, 6 if paused at the hour of --until, 7 if out of disk or memory,
    130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP (its terminal was closed).
    """
    from workbench.pipeline.launch import experiment_at, start_of, with_iterations
    from workbench.pipeline.room import parse_size
    from workbench.pipeline.runner import run as run_experiment
    from workbench.pipeline.settings import Settings
    from workbench.pipeline.until import parse_until

    overrides = with_iterations(overrides or [], iterations)
    loaded, output_dir = experiment_at(experiment, overrides, output_dir, name)
    settings = Settings(
        output_dir,
        force=tuple(force or ()),
        keep_going=keep_going,
        keep_results=keep_results,
        until=parse_until(until) if until else None,
        min_disk=parse_size(min_disk),
        min_memory=parse_size(min_memory),
        allow_paths=tuple(allow_path or ()),
        on_finish=on_finish,
        webhook=webhook,
        launch=start_of(output_dir, executor, force=tuple(force or ()), keep_results=keep_results),
    )
    raise typer.Exit(run_experiment(loaded, settings))


@app.command()
def sweep(
    experiment: Annotated[Path, typer.Argument(help="an experiment's YAML file, e.g. params/quickstart.yaml")],
    values: Annotated[
        list[str],
        typer.Argument(help="finetune.epochs=1,2 shared.seed=0..4: several values vary, one is the same for all"),
    ],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="how many run at once; by cores and memory without it")
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going", help="when one fails, begin others nevertheless, and go on inside it where that can be"
        ),
    ] = False,
    keep_results: Annotated[
        bool, typer.Option("--keep-results", help="use results that older code of the library has made")
    ] = False,
    until: Annotated[str, typer.Option(help="be over by 07:30, as of `workbench run`")] = "",
    allow_path: Annotated[
        list[Path] | None,
        typer.Option(help="a folder outside the sweep's that parameters may name (may be repeated)"),
    ] = None,
    on_finish: Annotated[str, typer.Option(help="a command to run after the end; a JSON summary is on its input")] = "",
    webhook: Annotated[str, typer.Option(help="an http address that the JSON summary is POSTed to after the end")] = "",
    executor: _Executor = "",
    name: Annotated[str, typer.Option(help="the sweep's folder, instead of the experiment's name with -sweep")] = "",
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Run every combination of some values, or go on with that: each an experiment of its own, with one page that compares them.

    Values are separated by commas; 0..4 is a range; what stands in brackets or quotes is one value. What combinations have in
    common is run once. Ends with 0 if all finished, else with the code of the first that did not.
    """
    from workbench.pipeline.launch import cluster_workers
    from workbench.pipeline.notify import check_address
    from workbench.pipeline.sweep import default_jobs, plan_sweep, run_sweep
    from workbench.pipeline.until import parse_until

    if until:
        parse_until(until)
    if webhook:
        check_address(webhook)
    asked = {"--executor": executor, "--until": until, "--keep-going": keep_going, "--keep-results": keep_results}
    options = [part for name, value in asked.items() if value for part in ([name] if value is True else [name, value])]
    plan = plan_sweep(
        experiment, values, output_dir, name=name, options=tuple(options), allow_paths=tuple(allow_path or ())
    )
    jobs = jobs or default_jobs(len(plan.combinations), cluster_workers(executor) if executor else None)
    code = run_sweep(plan, jobs=jobs, keep_going=keep_going, on_finish=on_finish, webhook=webhook)
    _out.print(f"see {plan.folder / 'index.html'}")
    raise typer.Exit(code)


@app.command()
def status(
    experiment: Annotated[
        str | None, typer.Argument(help="an experiment's name, YAML file or folder; all of them without one")
    ] = None,
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Say what runs, what is finished, what failed; notices runs that ended without a word, and writes it down."""
    from workbench.pipeline.index import read_experiment
    from workbench.pipeline.repair import repair
    from workbench.pipeline.standing import standing
    from workbench.pipeline.sweep_repair import repair_sweep
    from workbench.pipeline.sweep_state import is_sweep
    from workbench.pipeline.sweep_view import listed

    sweeps = [path.parent for path in sorted(output_dir.glob("*/sweep.json"))] if experiment is None else []
    if experiment is None:
        folders = sorted(path.parent for path in output_dir.glob("*/experiment.json"))
    else:
        folders = [_experiment_folder(experiment, output_dir)]
        if is_sweep(folders[0]):
            sweeps, folders = folders, []
    for folder in sweeps:
        _out.print(listed(repair_sweep(folder), every_combination=experiment is not None))
        _out.print(f"  {folder / 'index.html'}")
    for folder in folders:
        repair(folder)
        every_stage = experiment is not None or len(folders) == 1
        _out.print(standing(read_experiment(folder), folder, every_stage=every_stage), soft_wrap=True)
    if not folders and not sweeps:
        _out.print(f"no experiments in {output_dir}")


def _experiment_folder(given: str, output_dir: Path) -> Path:
    """An experiment's or a sweep's folder, by its path, its name, or the file it is written in."""
    from workbench.pipeline.parameters import nearest
    from workbench.pipeline.sweep_state import is_sweep

    name = Path(given).stem
    for folder in (Path(given), output_dir / given, output_dir / name):
        if (folder / "experiment.json").is_file() or is_sweep(folder):
            return folder
    known = sorted(path.parent.name for kind in ("experiment", "sweep") for path in output_dir.glob(f"*/{kind}.json"))
    raise ValueError(f"no experiment {name!r} in {output_dir}; {nearest(name, known)}")


def _run_folder(given: str, output_dir: Path) -> Path:
    """The folder of an experiment, a sweep or a stage."""
    stage = _stage_folder(given, output_dir)
    sweeps = [place for place in (Path(given), output_dir / given) if (place / "sweep.json").is_file()]
    return stage or (sweeps[0] if sweeps else _experiment_folder(given, output_dir))


def _stage_folder(given: str, output_dir: Path) -> Path | None:
    """A stage's folder, by its path or its executed notebook's, from here or from `output_dir`; None where it is none."""
    for place in (Path(given), output_dir / given):
        folder = place.parent if place.suffix == ".ipynb" else place
        if place.exists() and (folder / "notebook.ipynb").is_file():
            return folder
    return None


@app.command()
def params(notebook: Annotated[str, typer.Argument(help="a notebook, by path or name: 03_self_play")]) -> None:
    """Print a notebook's parameters: names, types, defaults, help."""
    from workbench.pipeline.notebooks import find_notebook
    from workbench.pipeline.parameters import literal, read_schema

    path = find_notebook(notebook)
    table = Table("parameter", "default", "", title=str(path), title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.columns[1].overflow = "fold"
    group = ""
    for parameter in read_schema(path).parameters.values():
        if parameter.group != group:
            group = parameter.group
            table.add_row(Text(group, style="bold"), "", "")
        about = Text.assemble(parameter.help, " " if parameter.help else "", (f"({parameter.annotation})", "dim"))
        table.add_row("  " + parameter.name, Text(literal(parameter.default), style="cyan"), about)
    _out.print(table)


@app.command()
def report(
    run: Annotated[
        str, typer.Argument(help="an experiment's name or folder, a stage's folder, or an executed notebook")
    ],
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Write the pages of a run again: a stage's report, an experiment's index and all its reports, a sweep's and all of those."""
    from workbench.pipeline.comparison_page import write_comparison
    from workbench.pipeline.index import write_index
    from workbench.pipeline.report import write_report
    from workbench.pipeline.sweep_state import is_sweep

    stage = _stage_folder(run, output_dir)
    if stage is not None:
        _out.print(str(write_report(stage)))
        return
    folder = _experiment_folder(run, output_dir)
    for notebook in sorted(folder.rglob("notebook.ipynb")):
        write_report(notebook.parent)
    if is_sweep(folder):
        for combination in sorted(folder.glob("*/experiment.json")):
            write_index(combination.parent)
        _out.print(str(write_comparison(folder)))
        return
    _out.print(str(write_index(folder)))


@app.command()
def rerun(
    notebook: Annotated[
        str, typer.Argument(help="an executed notebook, or its stage's folder: quickstart/gen_001/06_finetune")
    ],
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Replay an executed notebook from its own stamp, and say whether the results agree.

    Ends as `workbench run` does, and with 8 if it finished with other results.
    """
    from workbench.pipeline.night import view
    from workbench.pipeline.rerun import rerun as replay
    from workbench.pipeline.status import EXIT_CODES

    stage = None if Path(notebook).is_file() else _stage_folder(notebook, output_dir)
    if stage is None and not Path(notebook).is_file():
        raise FileNotFoundError(
            f"{notebook}: neither an executed notebook nor a stage's folder, here or in {output_dir}"
        )
    with view() as show:
        state, agrees = replay(stage / "notebook.ipynb" if stage else Path(notebook), show, output_dir)
    raise typer.Exit(EXIT_CODES[state] if agrees or EXIT_CODES[state] else DISAGREES)


@app.command()
def lab(
    notebook: Annotated[str, typer.Argument(help="which is opened, by path or name: 20_dashboard")] = "00_tour",
    port: Annotated[int | None, typer.Option(help="8888 or the next that is free, unless given")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open a browser")] = True,
) -> None:
    """Open JupyterLab on the notebooks: on this machine only, behind a token; your own settings go before ours."""
    from workbench.ui.lab import lab_arguments, run_lab

    run_lab(lab_arguments(notebook, port=port, browser=browser))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="an experiment, a stage's folder, or an executed notebook")],
    second: Annotated[str, typer.Argument(help="another one of the same kind")],
    html: Annotated[Path | None, typer.Option(help="write it to this file too, as a page")] = None,
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Say what differs between two runs: parameters, code, inputs, packages, machine, outcomes.

    Ends with 0 if nothing differs but what a clock says, with 1 if something does.
    """
    from workbench.pipeline import diff as comparing
    from workbench.pipeline.diff_views import as_page, in_terminal
    from workbench.pipeline.files import write_atomic

    found = comparing.compare(*(_compared(given, output_dir) for given in (first, second)))
    for piece in in_terminal(found):
        _out.print(piece)
    if html is not None:
        write_atomic(html, as_page(found))
        _out.print(f"see {html}")
    raise typer.Exit(1 if found.differs else 0)


def _compared(given: str, output_dir: Path) -> Path:
    """A notebook as it was given, or the folder of a stage or an experiment."""
    for place in (Path(given), output_dir / given):
        if place.is_file() and place.suffix == ".ipynb":
            return place
        if (place / "result.json").is_file():  # run by hand, it has left no notebook there
            return place
    return _stage_folder(given, output_dir) or _experiment_folder(given, output_dir)


@app.command()
def share(
    run: Annotated[str, typer.Argument(help="an experiment's or a sweep's name or folder, or a stage's folder")],
    output: Annotated[Path | None, typer.Option(help="what to write; RUN-shared or RUN-shared.zip without it")] = None,
    zipped: Annotated[bool, typer.Option("--zip", help="one zip instead of a folder")] = False,
    policies: Annotated[bool, typer.Option("--policies", help="the policies too, weights and all")] = False,
    datasets: Annotated[bool, typer.Option("--datasets", help="recorded games and other data too")] = False,
    hide: Annotated[
        list[str] | None, typer.Option(help="a name to take out, beyond the user's and the machine's (may be repeated)")
    ] = None,
    output_dir: _OutputDir = Path("outputs"),
) -> None:
    """Write a run as one folder or zip that another person opens anywhere, without names of its maker and machine."""
    from workbench.pipeline import share as sharing

    settings = sharing.Settings(policies, datasets, zipped, tuple(hide or ()))
    _out.print(str(sharing.share(_run_folder(run, output_dir), output, settings)))


@app.command()
def doctor() -> None:
    """Examine the machine: what is there, what is missing, and the command that mends it."""
    from workbench.pipeline.doctor import examine

    checks = examine()
    table = Table("", "", "", box=None, padding=(0, 2, 0, 0), show_header=False)
    table.columns[2].overflow = "fold"
    for check in checks:
        table.add_row(
            Text("ok" if check.ok else "FAILS", style="green" if check.ok else "bold red"),
            check.name,
            Text(check.detail),
        )
        if check.remedy:
            table.add_row("", "", Text(f"-> {check.remedy}", style="bold"))
    _out.print(table)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@app.command()
def setup() -> None:
    """Install what pip cannot: Pokémon Showdown, at the version of its lock file."""
    from workbench.envs.pokemon import showdown

    _out.print(f"Showdown is in {showdown.install(say=_out.print)}")


if __name__ == "__main__":
    app()
