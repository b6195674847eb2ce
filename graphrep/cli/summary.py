"""The summary of a day's graph as a person reads it: a table each of rows, nodes, surfaces, edges and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graphrep.cli.show import table_lines

NOT_THERE = "–"
QUANTILES = ("p0", "p50", "p90", "p99", "max")


def summary_lines(ds: str, summary: Mapping[str, Any]) -> list[str]:
    """What ``graphrep graph summary`` prints.

    Args:
        summary: of :func:`graphrep.pipeline.summary.summarise`.
    """
    days, rows = summary["days"], summary["rows"]
    missing = ", ".join(summary["missing_days"]) or "none"
    before = summary["compared_with"]
    against = f"the graph of {before}" if before else "none: it is the first graph"
    return [
        f"graph of {ds}: {len(days)} days, {days[0]} to {days[-1]}; missing between them: {missing}",
        "",
        f"rows delivered on the {len(days)} days",
        *_row_lines(rows["window"]),
        "",
        f"rows delivered on the newest day, {days[-1]}",
        *_row_lines(rows["newest"]),
        "",
        f"joined from later deliveries: {_counts(summary['late'])}",
        f"users' days left out for their intensity: {_counts(summary['excluded'])}",
        "",
        f"nodes; new and vanished against {against}",
        *_node_lines(summary["nodes"]),
        "",
        "users by number of surfaces that their edges come from",
        *_surface_lines(summary["surfaces"]),
        "",
        "edges; weights as stored, without their sign",
        *_edge_lines(summary["edges"]),
        "",
        *_disk_lines(summary["disk"]),
    ]


def _row_lines(by_table: Mapping[str, Mapping[str, Any]]) -> list[str]:
    reasons = sorted({reason for table in by_table.values() for reason in table["dropped"]})
    head = ["table", "surface", "days", "rows in", "events", *reasons, "undated"]

    def numbers(table: Mapping[str, Any]) -> list[int]:
        dropped = [table["dropped"].get(reason, 0) for reason in reasons]
        return [table["in"], table["events"], *dropped, table["undated"]]

    lines = [
        [name, table["surface"] or "by row", str(table["days"]), *_whole(numbers(table))]
        for name, table in by_table.items()
    ]
    sums = [sum(column) for column in zip(*map(numbers, by_table.values()), strict=True)]
    return table_lines(head, [*lines, ["all", "", "", *_whole(sums)]])


def _node_lines(by_type: Mapping[str, Mapping[str, Any]]) -> list[str]:
    head = ["type", "nodes", "new", "vanished", *(f"degree {name}" for name in QUANTILES)]
    lines = [
        [kind, *_whole([found["nodes"], found["new"], found["vanished"]]), *_quantiles(found["degree"], ",")]
        for kind, found in by_type.items()
    ]
    return table_lines(head, lines)


def _surface_lines(by_type: Mapping[str, Sequence[int]]) -> list[str]:
    lines = [
        [kind, str(number), f"{count:,}"] for kind, counts in by_type.items() for number, count in enumerate(counts)
    ]
    return table_lines(["type", "surfaces", "nodes"], lines)


def _edge_lines(by_relation: Mapping[str, Mapping[str, Any]]) -> list[str]:
    head = ["relation", "from", "to", "sign", "edges", "bytes/edge", *(f"weight {name}" for name in QUANTILES)]
    lines = []
    for name, found in by_relation.items():
        each = f"{found['bytes'] / found['edges']:.1f}" if found["edges"] else NOT_THERE
        lines.append(
            [
                name,
                found["from"],
                found["to"],
                f"{found['sign']:+d}",
                f"{found['edges']:,}",
                each,
                *_quantiles(found["weight"], ".4g"),
            ]
        )
    return table_lines(head, lines)


def _disk_lines(by_table: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [[name, f"{found['bytes']:,}", f"{found['bytes_per_edge']:.1f}"] for name, found in by_table.items()]
    return table_lines(["on disk", "bytes", "bytes/edge"], lines)


def _whole(numbers: Iterable[int | None]) -> list[str]:
    return [NOT_THERE if number is None else f"{number:,}" for number in numbers]


def _quantiles(found: Mapping[str, float] | None, form: str) -> list[str]:
    return [format(found[name], form) if found else NOT_THERE for name in QUANTILES]


def _counts(by_span: Mapping[str, Mapping[str, int]]) -> str:
    whole, newest = (
        ", ".join(f"{count:,} {reason}" for reason, count in by_span[span].items()) or "none"
        for span in ("window", "newest")
    )
    return f"{whole}; on the newest day: {newest}"
