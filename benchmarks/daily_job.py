"""The day's job (raw rows → events → daily edges and nodes) beside the same work as DuckDB SQL, by number of events.

python benchmarks/daily_job.py --events 1000000 5000000 20000000

Both sides read the same Parquet logs of one day, check and de-duplicate them, write the events, rank and sum them into
edges, and write edges and nodes as zstd Parquet; their edges are compared row by row. Each runs in a process of its own
with two threads. Spark's start-up is timed apart.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from graphrep.config import Config, Intensity, NodeSource, Relation, load_config
from graphrep.contracts import LOG_EVENT
from graphrep.datasets.sample import SampleSpec, sample_logs
from graphrep.store import tables

ROOT = Path(__file__).resolve().parents[1]
DS = "2026-03-01"
EVENTS_PER_USER = 5.75
RANKED = {"duration_percentile": "duration", "value_percentile": "value"}


def settings(logs: Path, warehouse: Path, heap: str, partitions: int) -> Config:
    config = load_config(ROOT / "configs" / "local.yaml", logs=logs, warehouse=warehouse)
    spark = config.spark.model_copy(update={"driver_memory": heap, "shuffle_partitions": partitions})
    # Who does too much is looked for and nobody is left out: the SQL has no such step.
    nobody = Intensity(max_events=10**9, max_active_hours=24, max_distinct=10**9)
    return config.model_copy(update={"spark": spark, "intensity": nobody})


def make_logs(out: Path, events: int) -> int:
    """One day of sample logs of about so many events; returns how many they are."""
    rows = 0
    for name, ds, table in sample_logs(SampleSpec(users=int(events / EVENTS_PER_USER), days=1, seed=0)):
        if ds is not None and name in ("short_video", "live", "ecommerce", "search"):
            tables.write_arrow(tables.partition(out, name, ds), table)
            rows += table.num_rows
    return rows


def by_spark(config: Config) -> dict[str, float]:
    """Seconds of Spark's start and of each stage."""
    from graphrep.pipeline.context import Run
    from graphrep.pipeline.edges import run_edges
    from graphrep.pipeline.logs import run_logs

    run = Run(config, today=dt.date(2026, 4, 1))
    return {
        "start": timed(lambda: run.spark.range(10).count()),
        "logs": timed(lambda: run_logs(run, DS)),
        "edges": timed(lambda: run_edges(run, DS)),
    }


def by_duckdb(config: Config) -> dict[str, float]:
    """The same in SQL."""
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 2")
    db.execute(f"SET temp_directory = '{config.warehouse}/tmp'")
    config.warehouse.mkdir(parents=True)
    events = config.warehouse / "events.parquet"
    outputs = {"edges": edges_sql(config), "node_days": nodes_sql(config.nodes)}

    def sums() -> None:
        db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{events}')")
        for name, query in outputs.items():
            db.execute(f"COPY ({query}) TO '{config.warehouse}/{name}.parquet' (COMPRESSION zstd)")

    return {
        "start": 0.0,
        "logs": timed(lambda: db.execute(f"COPY ({events_sql(config)}) TO '{events}' (COMPRESSION zstd)")),
        "edges": timed(sums),
    }


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def events_sql(config: Config) -> str:
    """Raw rows → events: the checks that a good day passes, and one row of each id."""
    parts = []
    for name, table in config.logs.tables.items():
        files = f"{tables.partition(config.logs.root / table.path, '', DS)}/*.parquet".replace("//", "/")
        import pyarrow.parquet as pq

        found = set(pq.read_schema(next(Path(files).parent.glob("*.parquet"))).names)
        chosen = []
        for column in LOG_EVENT.names:
            source = table.source_of(column)
            if column == "event_id":
                chosen.append(f"'{name}:' || event_id::VARCHAR AS event_id")
            elif column == "ds":
                chosen.append(f"'{DS}' AS ds")
            elif source is not None and source.value is not None:
                chosen.append(f"'{source.value}' AS {column}")
            else:
                kind = {"ts": "BIGINT", "value": "DOUBLE", "duration": "DOUBLE"}.get(column, "VARCHAR")
                chosen.append(f"{column if column in found else 'NULL'}::{kind} AS {column}")
        parts.append(f"SELECT {', '.join(chosen)} FROM read_parquet('{files}')")
    known = [f"{domain}/{action}" for domain, surface in config.surfaces.items() for action in surface.actions]
    start = int(dt.datetime.fromisoformat(f"{DS}T00:00:00+00:00").timestamp()) * 1000
    keys = ("user_id", "item_id", "host_id", "room_id", "query")
    short = " AND ".join(f"coalesce(octet_length({k}::BLOB) <= {config.logs.max_key_bytes}, true)" for k in keys)
    checks = (
        f"user_id IS NOT NULL AND ts >= {start} AND ts < {start + 86_400_000} AND domain || '/' || action IN "
        f"({', '.join(map(repr, known))}) AND coalesce(duration, 0) >= 0 AND coalesce(value, 0) >= 0 AND {short} "
        "AND coalesce(item_id, host_id, room_id, query) IS NOT NULL AND (item_id IS NULL OR item_type IS NOT NULL)"
    )
    rest = ", ".join(c for c in LOG_EVENT.names if c not in ("event_id", "ts", "ds"))
    once = f"QUALIFY row_number() OVER (PARTITION BY ds, event_id ORDER BY ts, {rest}) = 1"
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE {checks} {once}"


def endpoint(source: NodeSource) -> str:
    if source.item_type is None:
        return source.column
    return f"CASE WHEN item_type = '{source.item_type}' THEN {source.column} END"


def edges_sql(config: Config) -> str:
    return " UNION ALL ".join(relation_sql(n, r, config.nodes) for n, r in config.relations.items())


def relation_sql(name: str, relation: Relation, nodes: dict[str, NodeSource]) -> str:
    actions = ", ".join(repr(action) for action in relation.actions)
    acted = f"domain = '{relation.domain}' AND action IN ({actions})"
    rows, worth = f"SELECT * FROM events WHERE {acted}", "1000000"
    if column := RANKED.get(relation.strength):
        same = f"PARTITION BY user_id, domain, action, {column} IS NULL"
        rows = (
            f"SELECT *, rank() OVER w - 1 AS less, count(*) OVER (w RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
            f" AS up_to, count(*) OVER ({same}) AS n FROM events WHERE {acted} WINDOW w AS ({same} ORDER BY {column})"
        )
        k = relation.prior_support
        rank = f"((less + up_to) / 2.0 + {k} / 2.0) / (n + {k})"
        worth = f"greatest(1, round_even(1e6 * CASE WHEN {column} IS NULL THEN 0.5 ELSE {rank} END, 0)::BIGINT)"
    src, dst = endpoint(nodes[relation.src]), endpoint(nodes[relation.dst])
    cap = round(relation.daily_cap * 1e6)
    return (
        f"SELECT '{DS}' AS ds, '{name}' AS relation, '{relation.src}' AS src_type, {src} AS src_key,"
        f" '{relation.dst}' AS dst_type, {dst} AS dst_key, {relation.sign} AS sign,"
        f" least(sum({worth}), {cap}) / 1e6 AS weight, count(*) AS count, max(ts) AS last_ts"
        f" FROM ({rows}) WHERE {src} IS NOT NULL AND {dst} IS NOT NULL GROUP BY ALL"
    )


def nodes_sql(nodes: dict[str, NodeSource]) -> str:
    return " UNION ALL ".join(
        f"SELECT '{DS}' AS ds, '{kind}' AS node_type, {endpoint(source)} AS key, count(*) AS events, max(ts) AS last_ts"
        f" FROM events WHERE {endpoint(source)} IS NOT NULL GROUP BY ALL"
        for kind, source in nodes.items()
    )


def equal_edges(spark: Path, duck: Path) -> int:
    """Edges that both sides made; raises where one of them differs."""
    import duckdb

    columns = "relation, src_key, dst_key, sign, count, last_ts, round(weight * 1e6)::BIGINT AS w"
    ours = f"SELECT {columns} FROM read_parquet('{spark}/*.parquet')"
    theirs = f"SELECT {columns} FROM read_parquet('{duck}')"
    count = "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM (FROM a EXCEPT FROM b)),"
    count += " (SELECT count(*) FROM (FROM b EXCEPT FROM a))"
    rows = duckdb.connect().execute(f"WITH a AS ({ours}), b AS ({theirs}) {count}").fetchone()
    assert rows is not None
    if rows[1] or rows[2]:
        raise SystemExit(f"edges differ: {rows[1]} of ours, {rows[2]} of DuckDB's")
    return int(rows[0])


def in_a_process(side: str, logs: Path, warehouse: Path, heap: str, partitions: int) -> dict[str, float]:
    """Run one side alone; its seconds, and the largest resident memory of its processes in GiB."""
    shutil.rmtree(warehouse, ignore_errors=True)
    command = [sys.executable, __file__, "--side", side, "--logs", str(logs), "--warehouse", str(warehouse)]
    command += ["--heap", heap, "--partitions", str(partitions)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "MALLOC_ARENA_MAX": "2"}
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_gib() -> float:
    """Largest resident memory of this process and of Spark's JVM, which is its child."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    children = [int(p) for p in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    for child in children:
        status = Path(f"/proc/{child}/status").read_text()
        own += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0) / 2**20
    return own


def bytes_of(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*.parquet"))


def compare(events: int, runs: int, heap: str, partitions: int, place: Path) -> None:
    """Print one line per side and the ratio, medians of the runs."""
    rows = make_logs(place / "logs", events)
    sides: dict[str, list[dict[str, float]]] = {"spark": [], "duckdb": []}
    for _ in range(runs):
        for side, found in sides.items():
            found.append(in_a_process(side, place / "logs", place / side, heap, partitions))
    edges = equal_edges(tables.partition(place / "spark", tables.EDGES, DS), place / "duckdb" / "edges.parquet")
    total = {}
    for side, found in sides.items():
        middle = {name: float(np.median([run[name] for run in found])) for name in found[0]}
        total[side] = middle["logs"] + middle["edges"]
        parts = ", ".join(f"{name} {middle[name]:.1f} s" for name in ("start", "logs", "edges"))
        print(f"{rows:>11,} events  {side:<7} {total[side]:7.1f} s  {rows / total[side]:>9,.0f} events/s", end="")
        print(f"  peak {middle['peak']:.1f} GiB  ({parts})")
    print(f"{'':>18}  ratio {total['spark'] / total['duckdb']:.2f}; {edges:,} equal edges,", end=" ")
    print(
        f"{bytes_of(tables.partition(place / 'spark', tables.EDGES, DS)) / edges:.1f} bytes an edge on disk,", end=" "
    )
    print(f"{bytes_of(tables.partition(place / 'spark', tables.EVENTS, DS)) / rows:.1f} bytes an event")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--heap", default="4g", help="heap of Spark's JVM")
    parser.add_argument("--partitions", type=int, default=8, help="shuffle partitions, which are the files of a table")
    for hidden in ("--side", "--logs", "--warehouse"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        config = settings(Path(given.logs), Path(given.warehouse), given.heap, given.partitions)
        found = {"spark": by_spark, "duckdb": by_duckdb}[given.side](config)
        print(json.dumps({**found, "peak": peak_gib()}))
        return
    for events in given.events:
        with tempfile.TemporaryDirectory() as place:
            compare(events, given.runs, given.heap, given.partitions, Path(place))


if __name__ == "__main__":
    main()
