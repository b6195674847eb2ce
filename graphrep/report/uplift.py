"""The uplift of a day as one page: effects, who gains and who loses, calibration, overlap, gates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graphrep.report import svg
from graphrep.report.svg import Interval, escape, number

Fit = Mapping[str, Any]
Table = tuple[list[str], list[list[str]]]

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-size:13px}"
    "td,th{border-bottom:1px solid #8884;padding:.25rem .6rem;text-align:left;vertical-align:top}"
    "svg{max-width:100%;height:auto;display:block;margin:.5rem 0}"
    "svg text{font:12px system-ui,sans-serif;fill:currentColor}"
    ".failed,.loses,.blocked{color:#b3261e}.passed,.gains,.pass{color:#2e7d32}"
)


def title_of(fit: Fit) -> str:
    """``nudge: live within 1 day``."""
    days = fit["horizon_days"]
    return f"{fit['family']}: {fit['outcome']} within {days} day{'s' if days > 1 else ''}"


def html_page(evidence: Mapping[str, Any]) -> str:
    """One self-contained page.

    Args:
        evidence: as stage ``uplift`` kept it: ``decision_ds`` and the ``fits``.
    """
    heading = f"Go-live uplift for {evidence['decision_ds']}"
    parts = [f"<h1>{escape(heading)}</h1>", f"<p>{escape(_INTRODUCTION)}</p>"]
    for fit in evidence["fits"]:
        parts += [f"<h2>{escape(title_of(fit))}</h2>", *(f"<p>{escape(line)}</p>" for line in _lines(fit))]
        for name, table in _tables(fit):
            parts += [f"<h3>{escape(name)}</h3>", *_charts(fit, name), _html_table(table)]
    head = f"<head><meta charset=utf-8><title>{escape(heading)}</title><style>{_STYLE}</style></head>"
    return f"<!doctype html><html lang=en>{head}<body>{''.join(parts)}</body></html>\n"


def markdown_page(evidence: Mapping[str, Any]) -> str:
    """The same without charts."""
    parts = [f"# Go-live uplift for {_cell(evidence['decision_ds'])}", _INTRODUCTION]
    for fit in evidence["fits"]:
        parts += [f"## {_cell(title_of(fit))}", *map(_cell, _lines(fit))]
        for name, (header, rows) in _tables(fit):
            lines = [header, ["---"] * len(header), *rows]
            parts += [f"### {_cell(name)}", "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = (
    "Effect of one more treatment today, later days as usual; effects of different days do not add up. Adjusted: doubly"
    " robust, errors by host, 95 % intervals. Naive: the difference of means as it is. By lot: rows drawn by lot alone."
)

EFFECTS, CALIBRATION, GAIN, DRIVERS = "Effects", "Calibration by tenths", "Gain curve", "What tells hosts apart"
SEGMENTS, OVERLAP, GATES, CANDIDATES = "Who gains and who loses", "Overlap", "Gates", "Candidates"
REFUTATIONS = "Refutations"


def _lines(fit: Fit) -> list[str]:
    if fit["refused"]:
        return [f"Not fitted: {fit['refused']}"]
    days = " to ".join(fit["days"])
    left = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in fit["left_out"].items() if count)
    lines = [f"{fit['rows']:,} host-days of {fit['hosts']:,} hosts, {days}; {fit['by_lot']:,} by lot."]
    lines += [f"Left out: {left}."] if left else []
    if (boost := fit.get("boost")) is not None:
        lines.append(f"A boost drawn by lot ({boost['rows']:,} rows, whatever came of it): {_range(boost)}.")
    return lines


def _tables(fit: Fit) -> list[tuple[str, Table]]:
    if fit["refused"]:
        return [(EFFECTS, _modes(fit))]
    return [
        (EFFECTS, _effects(fit)),
        (SEGMENTS, _segments(fit)),
        (CALIBRATION, _calibration(fit)),
        (GAIN, _gain(fit)),
        (DRIVERS, _drivers(fit)),
        (CANDIDATES, _candidates(fit)),
        (OVERLAP, _overlap(fit)),
        (REFUTATIONS, _refutations(fit)),
        (GATES, _gates(fit)),
    ]


def _modes(fit: Fit) -> Table:
    rows = [[arm["treatment"], arm["mode"], "; ".join(arm["reasons"])] for arm in fit["arms"]]
    return ["arm", "published", "why"], rows


def _range(one: Mapping[str, float] | None) -> str:
    return "–" if one is None else f"{number(one['value'])} ({number(one['lower'])} to {number(one['upper'])})"


def _effects(fit: Fit) -> Table:
    header = ["arm", "adjusted", "naive", "by lot", "least effect that would be seen", "published", "gates", "why"]
    rows = []
    for arm in fit["arms"]:
        shown = [_range(arm.get(name)) for name in ("effect", "naive", "randomised")]
        least = number(arm.get("least_detectable"))
        rows.append([arm["treatment"], *shown, least, arm["mode"], arm["status"], "; ".join(arm["reasons"])])
    return header, rows


def _segments(fit: Fit) -> Table:
    header = ["column", "from", "to", "rows", "arm", "effect (90 %)", ""]
    rows = [
        [
            one["column"],
            number(one["from"]),
            number(one["to"]),
            f"{one['rows']:,}",
            one["treatment"],
            _range(one),
            one["verdict"],
        ]
        for one in fit["segments"]
    ]
    return header, rows


def _calibration(fit: Fit) -> Table:
    rows = [
        [arm["treatment"], str(place), f"{one['rows']:,}", number(one["predicted"]), _range(one)]
        for arm in fit["effects"]
        for place, one in enumerate(arm["calibration"], start=1)
    ]
    return ["arm", "tenth", "rows", "predicted", "found (90 %)"], rows


def _gain(fit: Fit) -> Table:
    shown = (0.1, 0.2, 0.3, 0.5, 0.7)
    rows = [
        [arm["treatment"], f"{one['share']:.0%}", _range(one)]
        for arm in fit["effects"]
        for one in arm["qini"]
        if any(math.isclose(one["share"], share) for share in shown)
    ]
    return ["arm", "share treated", "gain over a random share (90 %)"], rows


def _drivers(fit: Fit) -> Table:
    rows = [[arm["treatment"], one["name"], number(one["share"])] for arm in fit["effects"] for one in arm["drivers"]]
    return ["arm", "column", "share of the gain, or of the slopes"], rows


def _candidates(fit: Fit) -> Table:
    rows = [
        [
            arm["treatment"],
            one["name"],
            f"{number(one['gain'])} ± {number(one['gain_error'])}",
            number(one["slope"]),
            number(arm["shares"][one["name"]]) if one["name"] in arm["shares"] else "",
        ]
        for arm in fit["effects"]
        for one in arm["candidates"]
    ]
    return ["arm", "candidate", "gain over the constant effect", "slope", "share in what is published"], rows


def _overlap(fit: Fit) -> Table:
    parts = len(fit["overlap"][0]["given"]) if fit["overlap"] else 0
    rows = []
    for one in fit["overlap"]:
        low, high = (sum(one[name][: parts // 10]) for name in ("given", "others"))
        rows.append([one["arm"], number(low), number(high)])
    return ["arm", "given it with a chance below 0.1", "others with a chance below 0.1"], rows


def _refutations(fit: Fit) -> Table:
    tried = fit["refutations"]
    rows = []
    arms = [arm["treatment"] for arm in fit["effects"]]
    for name in ("negative_control", "future", "random_cause", "by_policy", "by_lot"):
        pair = tried.get(name)
        for place, arm in enumerate(arms):
            if pair is not None:
                rows.append(
                    [name.replace("_", " "), arm, f"{number(pair['value'][place])} ± {number(pair['error'][place])}"]
                )
    for family, pair in tried.get("without", {}).items():
        rows += [[f"without {family}", arm, number(pair["value"][place])] for place, arm in enumerate(arms)]
    for name, reason in tried.get("not_tried", {}).items():
        rows.append([name.replace("_", " "), "", f"not tried: {reason}"])
    return ["what", "arm", "effect"], rows


def _gates(fit: Fit) -> Table:
    rows = [
        [
            row["gate"],
            row["check"],
            row["arm"] or "all",
            number(row["value"]),
            row["limit"],
            row["outcome"],
            row["consequence"] if row["outcome"] in ("failed", "absent") else "",
            row["note"],
        ]
        for row in fit["gates"]
    ]
    return ["gate", "check", "arm", "value", "expected", "outcome", "what follows", "note"], rows


def _interval(label: str, one: Mapping[str, float] | None, kind: int = 0) -> Interval:
    nothing = math.nan
    if one is None:
        return Interval(label, nothing, nothing, nothing, kind)
    return Interval(label, one["value"], one["lower"], one["upper"], kind)


def _charts(fit: Fit, name: str) -> list[str]:
    if fit["refused"]:
        return []
    if name == EFFECTS:
        kinds = (("adjusted", "effect"), ("naive", "naive"), ("by lot", "randomised"))
        rows = [
            _interval(f"{arm['treatment']}, {word}", arm[key], kind)
            for arm in fit["effects"]
            for kind, (word, key) in enumerate(kinds)
        ]
        return [svg.intervals(rows, "effects by arm: adjusted, naive, by lot")]
    if name == SEGMENTS:
        shown = [one for one in fit["segments"] if one["verdict"] != "unclear"]
        rows = [_interval(_segment_label(one), one, int(one["verdict"] == "loses")) for one in shown]
        return [svg.intervals(rows, "segments whose interval is on one side of 0")] if rows else []
    if name == OVERLAP:
        return [
            svg.histograms(one["given"], one["others"], f"chance of {one['arm']}", (f"given {one['arm']}", "others"))
            for one in fit["overlap"]
        ]
    return [chart for arm in fit["effects"] if (chart := _of_arm(arm, name))]


def _segment_label(one: Mapping[str, Any]) -> str:
    column = str(one["column"]).partition(".")[2] or one["column"]
    return f"{column} {number(one['from'])}–{number(one['to'])}, {one['treatment']}"


def _of_arm(arm: Mapping[str, Any], name: str) -> str:
    what = arm["treatment"]
    if name == CALIBRATION:
        rows = [_interval("", one) for one in arm["calibration"]]
        x = [one["predicted"] for one in arm["calibration"]]
        return svg.scatter(x, rows, f"calibration of {what}", ("predicted effect", f"{what}: effect found"))
    if name == GAIN:
        rows = [_interval("", one) for one in arm["qini"]]
        x = [one["share"] for one in arm["qini"]]
        return svg.curve(x, rows, f"gain curve of {what}", ("share treated", f"{what}: gain over a random share"))
    if name == DRIVERS and arm["drivers"]:
        return svg.bars([(one["name"], one["share"]) for one in arm["drivers"]], f"drivers of {what}")
    return ""


def _html_table(table: Table) -> str:
    header, rows = table
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(_td(cell) for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_MARKED = ("failed", "passed", "gains", "loses", "blocked", "pass")


def _td(cell: str) -> str:
    mark = f' class="{cell}"' if cell in _MARKED else ""
    return f"<td{mark}>{escape(cell)}</td>"


def _cell(text: Sequence[str] | str) -> str:
    """Text that stands for itself in a Markdown table."""
    plain = " ".join(str(text).split()).replace("\\", "\\\\")
    for mark in "|`*_<>[]&":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
