"""The settings of a run. Every knob stands once, with unit and reason, in ``configs/base.yaml``.

An unknown key is an error that names its path.
"""

from graphrep.config.embed import HISTORY, Embed, Training
from graphrep.config.exports import Export, HistorySettings
from graphrep.config.gates import Gate
from graphrep.config.model import (
    ColdStart,
    ColumnSource,
    Config,
    Evaluate,
    Logs,
    LogTable,
    NodeSource,
    Spark,
    Surface,
    Target,
    Unit,
)
from graphrep.config.publish import Publish
from graphrep.config.read import load_config
from graphrep.config.relations import (
    GraphRelation,
    Intensity,
    ItemVectors,
    Merge,
    Relation,
    Sessions,
    Similarity,
    Transition,
    transition_name,
)
from graphrep.config.uplift import Arm, Events, Exposure, Nudges, Uplift

__all__ = [
    "HISTORY",
    "Arm",
    "ColdStart",
    "ColumnSource",
    "Config",
    "Embed",
    "Evaluate",
    "Events",
    "Export",
    "Exposure",
    "Gate",
    "GraphRelation",
    "HistorySettings",
    "Intensity",
    "ItemVectors",
    "LogTable",
    "Logs",
    "Merge",
    "NodeSource",
    "Nudges",
    "Publish",
    "Relation",
    "Sessions",
    "Similarity",
    "Spark",
    "Surface",
    "Target",
    "Training",
    "Transition",
    "Unit",
    "Uplift",
    "load_config",
    "transition_name",
]
