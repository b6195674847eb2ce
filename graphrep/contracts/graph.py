"""The graph's tables: daily edges, the append-only id dictionary, a day's active nodes, its adjacency."""

from __future__ import annotations

from graphrep.contracts.table import Column, Contract


class Edge:
    """Column names of ``edge_v1``."""

    DS = "ds"
    RELATION = "relation"
    SRC_TYPE = "src_type"
    SRC_KEY = "src_key"
    DST_TYPE = "dst_type"
    DST_KEY = "dst_key"
    SIGN = "sign"
    WEIGHT = "weight"
    COUNT = "count"
    LAST_TS = "last_ts"


EDGE = Contract(
    name="edge_v1",
    grain=(Edge.DS, Edge.RELATION, Edge.SRC_KEY, Edge.DST_KEY),
    owner="data engineering",
    meaning="all events of one day behind one typed pair, summed once",
    columns=(
        Column(Edge.DS, "string", "data day", "YYYY-MM-DD, UTC"),
        Column(Edge.RELATION, "string", "relation of the configuration"),
        Column(Edge.SRC_TYPE, "string", "node type of src_key"),
        Column(Edge.SRC_KEY, "string", "outside key"),
        Column(Edge.DST_TYPE, "string", "node type of dst_key"),
        Column(Edge.DST_KEY, "string", "outside key"),
        Column(Edge.SIGN, "int32", "+1 liked, −1 disliked"),
        Column(Edge.WEIGHT, "float64", "sum of event strengths, > 0, in steps of 1e-6", "strength"),
        Column(Edge.COUNT, "int64", "events behind it"),
        Column(Edge.LAST_TS, "int64", "time of the last of them", "ms since 1970-01-01 UTC"),
    ),
)


class EdgeWeek:
    """Column names of ``edge_week_v1``."""

    DS = "ds"
    RELATION = "relation"
    SRC_TYPE = "src_type"
    SRC_KEY = "src_key"
    DST_TYPE = "dst_type"
    DST_KEY = "dst_key"
    SIGN = "sign"
    WEIGHT = "weight"
    COUNT = "count"
    LAST_TS = "last_ts"


EDGE_WEEK = Contract(
    name="edge_week_v1",
    grain=(EdgeWeek.DS, EdgeWeek.RELATION, EdgeWeek.SRC_KEY, EdgeWeek.DST_KEY),
    owner="data engineering",
    meaning="the daily edges of one calendar week, Monday to Sunday, summed once for windows that hold it whole",
    columns=(
        Column(EdgeWeek.DS, "string", "last day of the week", "YYYY-MM-DD, UTC"),
        Column(EdgeWeek.RELATION, "string", "relation of the configuration"),
        Column(EdgeWeek.SRC_TYPE, "string", "node type of src_key"),
        Column(EdgeWeek.SRC_KEY, "string", "outside key"),
        Column(EdgeWeek.DST_TYPE, "string", "node type of dst_key"),
        Column(EdgeWeek.DST_KEY, "string", "outside key"),
        Column(EdgeWeek.SIGN, "int32", "+1 liked, −1 disliked"),
        Column(EdgeWeek.WEIGHT, "float64", "sum of daily weights, each decayed to the last day, > 0", "strength"),
        Column(EdgeWeek.COUNT, "int64", "events behind it"),
        Column(EdgeWeek.LAST_TS, "int64", "time of the last of them", "ms since 1970-01-01 UTC"),
    ),
)


class NodeDay:
    """Column names of ``node_day_v1``."""

    DS = "ds"
    TYPE = "node_type"
    KEY = "key"
    EVENTS = "events"
    LAST_TS = "last_ts"


NODE_DAY = Contract(
    name="node_day_v1",
    grain=(NodeDay.DS, NodeDay.TYPE, NodeDay.KEY),
    owner="data engineering",
    meaning="every key that any checked event of one day names, whether or not an edge came of it",
    columns=(
        Column(NodeDay.DS, "string", "data day", "YYYY-MM-DD, UTC"),
        Column(NodeDay.TYPE, "string", "node type"),
        Column(NodeDay.KEY, "string", "outside key"),
        Column(NodeDay.EVENTS, "int64", "events that name it"),
        Column(NodeDay.LAST_TS, "int64", "time of the last of them", "ms since 1970-01-01 UTC"),
    ),
)


class Exclusion:
    """Column names of ``exclusion_v1``."""

    DS = "ds"
    KEY = "user_id"
    REASON = "reason"
    EVENTS = "events"
    ACTIVE_HOURS = "active_hours"
    DISTINCT = "distinct_items"


EXCLUSION = Contract(
    name="exclusion_v1",
    grain=(Exclusion.DS, Exclusion.KEY),
    owner="data engineering",
    meaning="a user whose day was no person's: his events of it make no edges",
    columns=(
        Column(Exclusion.DS, "string", "data day", "YYYY-MM-DD, UTC"),
        Column(Exclusion.KEY, "string", "who"),
        Column(Exclusion.REASON, "string", "first limit of `intensity` that he is above"),
        Column(Exclusion.EVENTS, "int64", "events of the day"),
        Column(Exclusion.ACTIVE_HOURS, "int64", "different hours with an event"),
        Column(Exclusion.DISTINCT, "int64", "different items and hosts"),
    ),
)


class Tail:
    """Column names of ``tail_v1``."""

    DS = "ds"
    TRANSITION = "transition"
    USER = "user_key"
    TS = "ts"
    TYPE = "node_type"
    KEY = "key"


TAIL = Contract(
    name="tail_v1",
    grain=(),
    owner="data engineering",
    meaning="the last events of each user's path, which the next day's first events follow on",
    columns=(
        Column(Tail.DS, "string", "data day at whose end it is taken", "YYYY-MM-DD, UTC"),
        Column(Tail.TRANSITION, "string", "transition of the configuration"),
        Column(Tail.USER, "string", "whose path"),
        Column(Tail.TS, "int64", "when it happened", "ms since 1970-01-01 UTC"),
        Column(Tail.TYPE, "string", "node type of key"),
        Column(Tail.KEY, "string", "what he met"),
    ),
)


class Node:
    """Column names of ``node_v1``."""

    TYPE = "node_type"
    KEY = "key"
    INDEX = "index"
    FIRST_DS = "first_ds"


NODE = Contract(
    name="node_v1",
    grain=(Node.TYPE, Node.INDEX),
    owner="data engineering",
    meaning="append-only dictionary: a key keeps its index for ever, an index is never given twice",
    columns=(
        Column(Node.TYPE, "string", "node type"),
        Column(Node.KEY, "string", "outside key; null: erased, and the index with it for ever", nullable=True),
        Column(Node.INDEX, "int64", "dense number inside its type, from 0"),
        Column(Node.FIRST_DS, "string", "day of the run that met it first", "YYYY-MM-DD"),
    ),
)


class NodeActivity:
    """Column names of ``node_activity_v1``."""

    TYPE = "node_type"
    KEY = "key"
    INDEX = "index"
    EVENTS = "events"
    DEGREE = "degree"
    LAST_TS = "last_ts"


NODE_ACTIVITY = Contract(
    name="node_activity_v1",
    grain=(NodeActivity.TYPE, NodeActivity.INDEX),
    owner="data engineering",
    meaning="the nodes of one day's window and what is known of each; these and no others are published",
    columns=(
        Column(NodeActivity.TYPE, "string", "node type"),
        Column(NodeActivity.KEY, "string", "outside key"),
        Column(NodeActivity.INDEX, "int64", "index of node_v1"),
        Column(NodeActivity.EVENTS, "int64", "events of the window that name it"),
        Column(NodeActivity.DEGREE, "int64", "edges of the window that touch it"),
        Column(NodeActivity.LAST_TS, "int64", "its newest event", "ms since 1970-01-01 UTC"),
    ),
)


class Adjacency:
    """Column names of ``adjacency_v1``."""

    SRC = "src"
    DST = "dst"
    WEIGHT = "weight"
    TIME = "time"


ADJACENCY = Contract(
    name="adjacency_v1",
    grain=(Adjacency.SRC, Adjacency.DST),
    owner="data engineering",
    meaning="the decayed window of one relation, sorted by source then destination; sign is the relation's",
    columns=(
        Column(Adjacency.SRC, "int64", "index of the source node"),
        Column(Adjacency.DST, "int64", "index of the destination node"),
        Column(Adjacency.WEIGHT, "float32", "decayed, capped sum of daily weights, > 0", "strength"),
        Column(Adjacency.TIME, "int64", "newest event behind it", "s since 1970-01-01 UTC"),
    ),
)
