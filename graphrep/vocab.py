"""Words that more than one room uses. Each is spelt here and nowhere else."""

from __future__ import annotations

from typing import Final

# Surfaces (the `domain` column).
SHORT_VIDEO: Final = "short_video"
LIVE: Final = "live"
ECOMMERCE: Final = "ecommerce"
SEARCH: Final = "search"

# Node types that the shipped configurations declare; a configuration may declare others.
USER: Final = "user"
HOST: Final = "host"
VIDEO: Final = "video"
PRODUCT: Final = "product"

# What is made of one day's deliveries, for the runs of many days.
TRANSITIONS: Final = "transitions"
WEEK: Final = "week"

# Stages of a run, in order.
LOGS: Final = "logs"
EDGES: Final = "edges"
GRAPH: Final = "graph"
EMBED: Final = "embed"
PANEL: Final = "panel"
UPLIFT: Final = "uplift"
EVALUATE: Final = "evaluate"
PUBLISH: Final = "publish"
STAGES: Final = (LOGS, EDGES, GRAPH, EMBED, PANEL, UPLIFT, EVALUATE, PUBLISH)
DAY_TABLES: Final = (LOGS, EDGES, TRANSITIONS, WEEK)

# Models that `fit` knows.
AUTOCOVARIANCE: Final = "autocovariance"
HYBRID: Final = "hybrid"
GNN: Final = "gnn"
MODELS: Final = (AUTOCOVARIANCE, HYBRID, GNN)

DAY_MS: Final = 86_400_000
"""Milliseconds of a day; data days are UTC, which has no others."""

# The directory prefix of a day's partition: <table>/ds=2026-03-01/.
DS: Final = "ds"

EdgeType = tuple[str, str, str]
"""(source node type, relation, destination node type)."""

OWN: Final = "graph"
BLEND: Final = "blend"
CONTENT: Final = "content"
PRIOR: Final = "prior"
SOURCES: Final = (OWN, BLEND, CONTENT, PRIOR)
"""What a published vector is made of, in the order of the numbers that stand for it."""

PREVIOUS: Final = "previous"
ANSWERS: Final = (*SOURCES, PREVIOUS)
"""What a reader's answer is made of: one of the above, or the vector of the release before."""
