"""What was played, kept and learned from: recording, files, datasets, filters. Knows envs, and nothing above them."""

from workbench.data.datasets import Dataset, EmptyDataset
from workbench.data.files import DamagedFile
from workbench.data.filters import Filters, filter_folder
from workbench.data.folders import open_folder
from workbench.data.recorder import Recorder
from workbench.data.trajectories import Batch, Game, Trajectory, pad

__all__ = [
    "Batch",
    "DamagedFile",
    "Dataset",
    "EmptyDataset",
    "Filters",
    "Game",
    "Recorder",
    "Trajectory",
    "filter_folder",
    "open_folder",
    "pad",
]
