"""The transitions of a day: what users met on it, after what they had met within the days before."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from graphrep import __version__, vocab
from graphrep.config import Config, Transition
from graphrep.contracts import EDGE, TAIL, Edge, Tail
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, add_days, day_range, fingerprint
from graphrep.pipeline.day_edges import kept_events, read_events
from graphrep.pipeline.deliveries import deliveries_of
from graphrep.store import files, runlog, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TAIL_PRINT = "tail_fingerprint"
MERGE_FIELDS = {"half_life_days", "window_days", "cap", "min_count", "src_top", "dst_top", "hub_damping", "weight"}
"""What acts on the window only."""


def make_transitions(run: Run, day: str, upto: str) -> dict[str, Any] | None:
    """Make a day's transitions and the tail of its paths anew if the days that they reach over have changed.

    Returns:
        The day's record, or None where no transition is configured.
    """
    if not run.config.transitions:
        return None
    print_of_inputs = transitions_fingerprint(run, day, upto)
    with files.locked(run.warehouse / "runs" / day / f".{vocab.TRANSITIONS}.lock"):
        done = runlog.read_stage(run.warehouse, day, vocab.TRANSITIONS)
        if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, day):
            return done
        with run.progress.stage(f"transitions {day}", 2) as step:
            _write_day(run, day, upto, step)
        path = tables.partition(run.warehouse, tables.TRANSITIONS, day)
        record = {
            runlog.FINGERPRINT: print_of_inputs,
            TAIL_PRINT: _tail_print(run, day, upto),
            "edges": tables.count_by(path, Edge.RELATION),
        }
        runlog.record_stage(run.warehouse, day, vocab.TRANSITIONS, record)
    return record


def checked_transitions(run: Run, day: str, upto: str) -> str | None:
    """The fingerprint of a day's transitions as a run of the day ``upto`` needs them; None where none are configured.

    Raises:
        InputError: they are not there, or were made of something else.
    """
    if not run.config.transitions:
        return None
    expected = transitions_fingerprint(run, day, upto)
    done = runlog.read_stage(run.warehouse, day, vocab.TRANSITIONS)
    if not done or done[runlog.FINGERPRINT] != expected or not _written(run, day):
        found = "others" if done else "none"
        fix = "make the window's days anew: graphrep run --to edges"
        raise InputError(f"the transitions of {day} as delivered up to {upto}", found=found, fix=fix)
    return expected


def transitions_fingerprint(run: Run, day: str, upto: str) -> str:
    """Of the deliveries of the day and of the days that its first events may follow on, and of the settings."""
    return fingerprint(_contents(run, day, run.config.reach_days, upto), _settings(run.config))


def _tail_print(run: Run, day: str, upto: str) -> str:
    # Tomorrow's events reach a day less far back than the day's own.
    return fingerprint(_contents(run, day, run.config.reach_days - 1, upto), _settings(run.config))


def _contents(run: Run, day: str, back: int, upto: str) -> dict[str, dict[str, str]]:
    days = day_range(add_days(day, -back), day)
    return {d: found for d in days if (found := deliveries_of(run, d, upto))}


def _settings(config: Config) -> str:
    own = {n: t.model_dump(mode="json", exclude=MERGE_FIELDS) for n, t in config.transitions.items()}
    named = sorted({name for t in config.transitions.values() for name in t.relations})
    ends = {n: config.relations[n].model_dump(mode="json", include={"domain", "actions", "src", "dst"}) for n in named}
    return fingerprint(own, ends, config.fingerprint("nodes", "intensity"), __version__)


def _write_day(run: Run, day: str, upto: str, step: Any) -> None:
    from graphrep import edges
    from graphrep.store.spark import write_frame

    parts, tails = [], []
    n = run.config.spark.shuffle_partitions
    before = _tail_before(run, day, upto)
    for name, transition in run.config.transitions.items():
        fresh = _paths(run, day, upto, transition)
        tail = before(name, transition)
        parts.append(edges.daily_transitions(fresh, tail, name, transition, day, n))
        tails.append(edges.tail_after(fresh, tail, name, transition, day, n))
    union = _union(parts)
    write_frame(union, tables.partition(run.warehouse, tables.TRANSITIONS, day), EDGE)
    step("transitions")
    write_frame(_union(tails), tables.partition(run.warehouse, tables.TAILS, day), TAIL)
    step("tails")


def _union(frames: list[DataFrame]) -> DataFrame:
    return reduce(lambda a, b: a.unionByName(b), frames)


def _paths(run: Run, day: str, upto: str, transition: Transition) -> DataFrame:
    from graphrep import edges, logs

    delivered = deliveries_of(run, day, upto)
    events = read_events(run, day, delivered)
    events = logs.first_of_each(events) if len(delivered) > 1 else events
    return edges.paths(kept_events(run, day, events), transition, run.config.relations, run.config.nodes)


def _tail_before(run: Run, day: str, upto: str) -> Any:
    """Gives the path that a day's first events follow on, by transition.

    It is yesterday's tail, where that was made of the same deliveries; else the events of the days within reach, of
    which a tail is the end.
    """
    from pyspark.sql import functions as F

    from graphrep.store.spark import read_frames

    days = day_range(add_days(day, -run.config.reach_days), add_days(day, -1))
    present = [d for d in days if deliveries_of(run, d, upto)]
    last = present[-1] if present else None
    done = runlog.read_stage(run.warehouse, last, vocab.TRANSITIONS) if last else None
    if last and done and done[TAIL_PRINT] == _tail_print(run, last, upto) and _written(run, last):
        tail = read_frames(run.spark, [tables.partition(run.warehouse, tables.TAILS, last)], TAIL)
        return lambda name, transition: tail.where(F.col(Tail.TRANSITION) == name)

    def whole(name: str, transition: Transition) -> DataFrame:
        if not present:
            return read_frames(run.spark, [], TAIL)
        paths = _union([_paths(run, d, upto, transition) for d in present])
        return paths.withColumns({Tail.DS: F.lit(days[-1]), Tail.TRANSITION: F.lit(name)}).select(*TAIL.names)

    return whole


def _written(run: Run, day: str) -> bool:
    return all(tables.partition(run.warehouse, t, day).is_dir() for t in (tables.TRANSITIONS, tables.TAILS))
