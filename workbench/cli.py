"""`workbench ...`: run experiments, look at them, and see what a machine still needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
_out, _err = Console(highlight=False), Console(stderr=True, highlight=False)


@app.command()
def run(
    experiment: Annotated[Path, typer.Argument(help="an experiment's YAML file")],
    overrides: Annotated[list[str] | None, typer.Argument(help="stage.parameter=value, shared.seed=1, generations=3")] = None,
    force: Annotated[list[str] | None, typer.Option(help="run this stage again although nothing changed")] = None,
    output_dir: Annotated[Path, typer.Option(help="where experiments go")] = Path("outputs"),
) -> None:
    """Run an experiment, or go on with it: finished stages are skipped, a killed one continues."""
    from workbench.pipeline.load import load_experiment
    from workbench.pipeline.runner import Settings
    from workbench.pipeline.runner import run as run_experiment

    loaded = load_experiment(experiment, overrides or [])
    raise typer.Exit(run_experiment(loaded, Settings(output_dir, tuple(force or ()))))


@app.command()
def params(notebook: Annotated[str, typer.Argument(help="a notebook, by path or name: 03_self_play")]) -> None:
    """Print a notebook's parameters: names, types, defaults, help."""
    from workbench.pipeline.notebooks import find_notebook
    from workbench.pipeline.parameters import literal, read_schema

    path = find_notebook(notebook)
    table = Table("parameter", "type", "default", "", title=str(path), title_justify="left", box=None, padding=(0, 2, 0, 0))
    group = ""
    for parameter in read_schema(path).parameters.values():
        if parameter.group != group:
            group = parameter.group
            table.add_row(Text(group, style="italic dim"), "", "", "")
        table.add_row(parameter.name, Text(parameter.annotation, style="cyan"), Text(literal(parameter.default)), Text(parameter.help))
    _out.print(table)


if __name__ == "__main__":
    app()
