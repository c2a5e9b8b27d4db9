"""Which experiment is run, and where its stages are: on this machine or a cluster, alone or as one of a sweep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from workbench.pipeline.experiment import Experiment, ExperimentError
from workbench.pipeline.files import read_json
from workbench.pipeline.load import load_experiment
from workbench.pipeline.sharing import SharedStage, Start
from workbench.pipeline.supervise import Supervised


def experiment_at(place: Path, overrides: list[str], output_dir: Path, name: str = "") -> tuple[Experiment, Path]:
    """The experiment of a file, or the one that a folder holds, as it was run there; and the folder that its own lies in.

    Args:
        place: a YAML file; or an experiment's folder, whose `experiment.json` names the file and its overrides.
        overrides: laid over it.
        output_dir: where a file's experiment goes; a folder's is where it is.
        name: what it is called instead of what the file says; empty for that.

    Raises:
        ExperimentError: as `load_experiment`.
    """
    if not (place / "experiment.json").is_file():
        loaded = load_experiment(place, overrides)
        return (replace(loaded, name=name) if name else loaded), output_dir
    if name:
        raise ExperimentError(f"{place}: an experiment's folder has its name already; leave --name out")
    before = read_json(place / "experiment.json")
    loaded = load_experiment(Path(before["file"]), [*before["overrides"], *overrides])
    folder = place.absolute()
    return replace(loaded, name=folder.name), Path(place).parent if place.name == folder.name else folder.parent


def with_iterations(overrides: list[str], iterations: int | None) -> list[str]:
    """The overrides of a command line with what `--iterations` says, `generations=N`, among them.

    Raises:
        ExperimentError: they say how many generations already, and another number.
    """
    if iterations is None:
        return overrides
    said = f"generations={iterations}"
    other = [text for text in overrides if text.replace(" ", "").startswith("generations=") and text != said]
    if other:
        raise ExperimentError(f"--iterations {iterations} and {other[0]}: expected one of them")
    return [*(text for text in overrides if text != said), said]


def start_of(
    output_dir: Path, executor: str = "", *, force: tuple[str, ...] = (), keep_results: bool = False
) -> Start | None:
    """What starts the stages of experiments in a folder; None for processes of this machine.

    Args:
        executor: address of a cluster; empty without one.
        force: names of stages that a sweep's combination does not take over from another.
        keep_results: in a sweep, take over also what older code of the library has made.
    """
    start: Start | None = None
    if executor:
        from workbench.pipeline.cluster import StagesOnCluster

        start = StagesOnCluster(executor)
    if not (output_dir / "sweep.json").is_file():
        return start

    def start_shared(folder: Path, limit: float | None) -> Supervised | SharedStage:
        if read_json(folder / "request.json")["stage"] in force:
            return (start or Supervised)(folder, limit)
        return SharedStage(folder, limit, start or Supervised, any_code=keep_results)

    return start_shared


def cluster_workers(executor: str) -> int:
    """How many tasks the cluster at an address can do at once now.

    Raises:
        ValueError, ClusterError: as `workbench.arena.executors.executor_at`.
    """
    from workbench.arena.executors import Cluster

    return Cluster.connect(executor.partition("?")[0]).workers
