"""Every table as data: columns, types, units, grain, checks. The only place where a column name is spelt."""

from graphrep.contracts.embedding import EMBEDDING, Embedding
from graphrep.contracts.erasure import ERASURE, Erasure, key_hash
from graphrep.contracts.events import LOG_EVENT, QUARANTINE, Event, Quarantine
from graphrep.contracts.feature import FEATURE, INDEX_MANIFEST, Feature, IndexManifest
from graphrep.contracts.graph import (
    ADJACENCY,
    EDGE,
    EDGE_WEEK,
    EXCLUSION,
    NODE,
    NODE_ACTIVITY,
    NODE_DAY,
    TAIL,
    Adjacency,
    Edge,
    EdgeWeek,
    Exclusion,
    Node,
    NodeActivity,
    NodeDay,
    Tail,
)
from graphrep.contracts.history import HISTORY, History
from graphrep.contracts.release import RELEASE_MANIFEST, SCHEMA_VERSION, Manifest
from graphrep.contracts.table import Column, Contract, check_table
from graphrep.contracts.uplift import PANEL, Panel
from graphrep.contracts.uplift_scores import SCORES, Score

CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        LOG_EVENT,
        QUARANTINE,
        EDGE,
        EDGE_WEEK,
        EXCLUSION,
        NODE_DAY,
        TAIL,
        NODE,
        ERASURE,
        NODE_ACTIVITY,
        ADJACENCY,
        EMBEDDING,
        HISTORY,
        FEATURE,
        INDEX_MANIFEST,
        RELEASE_MANIFEST,
        PANEL,
        SCORES,
    )
}

__all__ = [
    "ADJACENCY",
    "CONTRACTS",
    "EDGE",
    "EDGE_WEEK",
    "EMBEDDING",
    "ERASURE",
    "EXCLUSION",
    "FEATURE",
    "HISTORY",
    "INDEX_MANIFEST",
    "LOG_EVENT",
    "NODE",
    "NODE_ACTIVITY",
    "NODE_DAY",
    "PANEL",
    "QUARANTINE",
    "RELEASE_MANIFEST",
    "SCHEMA_VERSION",
    "SCORES",
    "TAIL",
    "Adjacency",
    "Column",
    "Contract",
    "Edge",
    "EdgeWeek",
    "Embedding",
    "Erasure",
    "Event",
    "Exclusion",
    "Feature",
    "History",
    "IndexManifest",
    "Manifest",
    "Node",
    "NodeActivity",
    "NodeDay",
    "Panel",
    "Quarantine",
    "Score",
    "Tail",
    "check_table",
    "key_hash",
]
