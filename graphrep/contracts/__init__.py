"""Every table as data: columns, types, units, grain, checks. The only place where a column name is spelt."""

from graphrep.contracts.embedding import EMBEDDING, Embedding
from graphrep.contracts.events import LOG_EVENT, QUARANTINE, Event, Quarantine
from graphrep.contracts.graph import (
    ADJACENCY,
    EDGE,
    EXCLUSION,
    NODE,
    NODE_ACTIVITY,
    NODE_DAY,
    TAIL,
    Adjacency,
    Edge,
    Exclusion,
    Node,
    NodeActivity,
    NodeDay,
    Tail,
)
from graphrep.contracts.release import RELEASE_MANIFEST, SCHEMA_VERSION, Manifest
from graphrep.contracts.table import Column, Contract, check_table

CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        LOG_EVENT,
        QUARANTINE,
        EDGE,
        EXCLUSION,
        NODE_DAY,
        TAIL,
        NODE,
        NODE_ACTIVITY,
        ADJACENCY,
        EMBEDDING,
        RELEASE_MANIFEST,
    )
}

__all__ = [
    "ADJACENCY",
    "CONTRACTS",
    "EDGE",
    "EMBEDDING",
    "EXCLUSION",
    "LOG_EVENT",
    "NODE",
    "NODE_ACTIVITY",
    "NODE_DAY",
    "QUARANTINE",
    "RELEASE_MANIFEST",
    "SCHEMA_VERSION",
    "TAIL",
    "Adjacency",
    "Column",
    "Contract",
    "Edge",
    "Embedding",
    "Event",
    "Exclusion",
    "Manifest",
    "Node",
    "NodeActivity",
    "NodeDay",
    "Quarantine",
    "Tail",
    "check_table",
]
