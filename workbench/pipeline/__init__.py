"""Notebooks as stages, stages as experiments: parameters, the runner, provenance, reports."""

from workbench.pipeline.loggers import read_metrics
from workbench.pipeline.stage import Stage, StageError, stage
from workbench.pipeline.status import read_status

__all__ = ["Stage", "StageError", "read_metrics", "read_status", "stage"]
