"""The edges and nodes of a day, from all that was delivered of it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphrep import __version__, vocab
from graphrep.config import Config
from graphrep.contracts import EDGE, EXCLUSION, LOG_EVENT, NODE_DAY, Edge, Event
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, fingerprint
from graphrep.pipeline.deliveries import Deliveries, deliveries_of
from graphrep.store import files, runlog, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SETTINGS = "settings"
DAILY_FIELDS = {
    "domain",
    "actions",
    "src",
    "dst",
    "sign",
    "strength",
    "prior_support",
    "min_support",
    "value_weight",
    "confirmed_by",
    "daily_cap",
}
"""What a day's edges depend on; half-life, window, its caps and weight act later: changing them keeps the days."""


def make_edges(run: Run, day: str, upto: str) -> dict[str, Any]:
    """Make the edges of one day anew if what was delivered of it up to a day, or a setting, has changed.

    Returns:
        The day's record: edges by relation, ``late`` events and how many of them repeat others, users ``excluded``.
    """
    delivered = deliveries_of(run, day, upto)
    print_of_inputs = edges_fingerprint(run, delivered)
    with files.locked(run.warehouse / "runs" / day / f".{vocab.EDGES}.lock"):
        done = runlog.read_stage(run.warehouse, day, vocab.EDGES)
        if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, day):
            return done
        with run.progress.stage(f"edges {day}", 3) as step:
            late = _write_day(run, day, delivered, step)
        record = {
            runlog.FINGERPRINT: print_of_inputs,
            SETTINGS: daily_settings(run.config),
            "deliveries": sorted(delivered),
            "late": late,
            "excluded": tables.count_rows(tables.partition(run.warehouse, tables.EXCLUDED, day)),
            "edges": _count_by_relation(run, day),
        }
        runlog.record_stage(run.warehouse, day, vocab.EDGES, record)
    return record


def edges_fingerprint(run: Run, delivered: Deliveries) -> str:
    """Of everything that a day's edges depend on."""
    return fingerprint(delivered, daily_settings(run.config))


def daily_settings(config: Config) -> str:
    """Hash of the settings and the code version that a day's edges depend on: days of one window must share it."""
    relations = {name: r.model_dump(mode="json", include=DAILY_FIELDS) for name, r in config.relations.items()}
    return fingerprint(relations, config.fingerprint("nodes", "sessions", "intensity"), __version__)


def checked_edges(run: Run, day: str, upto: str) -> str | None:
    """The fingerprint of a day's edges as a run of the day ``upto`` needs them; None where nothing tells of the day.

    Raises:
        InputError: they are not there, or were made with other settings or deliveries.
    """
    delivered = deliveries_of(run, day, upto)
    if not delivered:
        return None
    done = runlog.read_stage(run.warehouse, day, vocab.EDGES)
    wanted = f"the daily edges of {day}, made with today's relations"
    fix = "make the window's days anew: graphrep run --to edges"
    if not done or not _written(run, day):
        raise InputError(wanted, found="none", fix=fix)
    if done[SETTINGS] != daily_settings(run.config):
        raise InputError(wanted, found="edges of other settings", fix=fix)
    if done[runlog.FINGERPRINT] != edges_fingerprint(run, delivered):
        found = f"edges of the deliveries {', '.join(done['deliveries'])}"
        raise InputError(f"the daily edges of {day} as delivered up to {upto}", found=found, fix=fix)
    return str(done[runlog.FINGERPRINT])


def read_events(run: Run, day: str, delivered: Deliveries) -> DataFrame:
    """The events of a day from the deliveries that tell of it; repeats among them are still there."""
    from pyspark.sql import functions as F

    from graphrep.store.spark import read_frames

    paths = [tables.partition(run.warehouse, tables.EVENTS, d) for d in sorted(delivered)]
    return read_frames(run.spark, paths, LOG_EVENT).where(F.col(Event.DS) == day)


def _write_day(run: Run, day: str, delivered: Deliveries, step: Any) -> dict[str, int]:
    from graphrep import edges
    from graphrep.store.spark import write_frame

    config, warehouse = run.config, run.warehouse
    events, late = _merged_events(run, day, delivered)
    excluded = edges.exclusions(events, config.intensity, day)
    write_frame(excluded, tables.partition(warehouse, tables.EXCLUDED, day), EXCLUSION)
    step("intensity")
    kept = kept_events(run, day, events)
    daily = edges.daily_edges(kept, config.relations, config.nodes, gap_minutes=config.sessions.gap_minutes)
    write_frame(daily, tables.partition(warehouse, tables.EDGES, day), EDGE)
    step("edges")
    write_frame(edges.daily_nodes(events, config.nodes), tables.partition(warehouse, tables.NODE_DAYS, day), NODE_DAY)
    step("nodes")
    return late


def kept_events(run: Run, day: str, events: DataFrame) -> DataFrame:
    """A day's events without those of users whose day was no person's, once they were found."""
    from graphrep import edges
    from graphrep.store.spark import read_frames

    path = tables.partition(run.warehouse, tables.EXCLUDED, day)
    return edges.without(events, read_frames(run.spark, [path], EXCLUSION)) if tables.count_rows(path) else events


def _merged_events(run: Run, day: str, delivered: Deliveries) -> tuple[DataFrame, dict[str, int]]:
    """The day's events, one of each id: a late one that its own delivery has already is a repeat."""
    from graphrep import logs
    from graphrep.store.spark import spark_errors

    late_days = {d: digest for d, digest in delivered.items() if d != day}
    own = read_events(run, day, {d: digest for d, digest in delivered.items() if d == day})
    if not late_days:
        return own, {"events": 0, "duplicates": 0}
    arrived = read_events(run, day, late_days)
    late = logs.first_of_each(arrived)
    # In two steps, so that the large side is only looked through: the few late ids travel to it.
    again = own.select(Event.EVENT_ID).join(late.select(Event.EVENT_ID), Event.EVENT_ID, "left_semi")
    new = late.join(again, Event.EVENT_ID, "left_anti").select(*LOG_EVENT.names)
    with spark_errors(f"late events of {day}"):
        counts = arrived.count(), new.count()
    return own.unionByName(new), {"events": counts[1], "duplicates": counts[0] - counts[1]}


def _written(run: Run, day: str) -> bool:
    return all(tables.partition(run.warehouse, t, day).is_dir() for t in (tables.EDGES, tables.NODE_DAYS))


def _count_by_relation(run: Run, day: str) -> dict[str, int]:
    path = tables.partition(run.warehouse, tables.EDGES, day)
    found = tables.count_by(path, Edge.RELATION)
    return {name: found.get(name, 0) for name in run.config.relations}
