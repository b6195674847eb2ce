"""The settings of a run. Every knob stands once, with unit and reason, in ``configs/base.yaml``.

An unknown key is an error that names its path.
"""

from graphrep.config.model import (
    ColumnSource,
    Config,
    Embed,
    Evaluate,
    Gates,
    Logs,
    LogTable,
    NodeSource,
    Relation,
    Spark,
    Surface,
    Target,
    Unit,
)
from graphrep.config.read import load_config

__all__ = [
    "ColumnSource",
    "Config",
    "Embed",
    "Evaluate",
    "Gates",
    "LogTable",
    "Logs",
    "NodeSource",
    "Relation",
    "Spark",
    "Surface",
    "Target",
    "Unit",
    "load_config",
]
