"""How an uplift is shown: a line for each arm, a table for its gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrep.cli.show import table_lines


def panel_lines(record: Mapping[str, Any]) -> list[str]:
    """What the panel holds.

    >>> panel_lines({"enabled": False})
    ['panel     off (uplift.enabled)']
    """
    if not record["enabled"]:
        return ["panel     off (uplift.enabled)"]
    rows = ", ".join(f"{count:,} of {family}" for family, count in record["rows"].items())
    first, last = (record["days"] or ["none"])[0], (record["days"] or ["none"])[-1]
    return [
        f"panel     {rows or 'no rows'}; {record['with_vectors']:,} with a vector",
        f"          {first} to {last}, {record['hosts']:,} hosts to score",
    ]


def uplift_lines(record: Mapping[str, Any]) -> list[str]:
    """What came of the stage, a line for each arm.

    >>> uplift_lines({"enabled": False})
    ['uplift    off (uplift.enabled)']
    """
    if not record["enabled"]:
        return ["uplift    off (uplift.enabled)"]
    lines = [f"uplift    {record['rows']:,} scores of {record['hosts']:,} hosts for {record['decision_ds']}"]
    for one in record["fits"]:
        lines += [f"          {fit_name(one)}, {_arm_line(arm)}" for arm in one["arms"]]
    return lines


def fit_name(one: Mapping[str, Any]) -> str:
    """``nudge live 1 d``."""
    return f"{one['family']} {one['outcome']} {one['horizon_days']} d"


def _arm_line(arm: Mapping[str, Any]) -> str:
    if "effect" not in arm:
        return f"{arm['treatment']}: {arm['mode']} ({'; '.join(arm['reasons'])})"
    effect = arm["effect"]
    shown = f"{effect['value']:+.4f} ({effect['lower']:+.4f} to {effect['upper']:+.4f})"
    return f"{arm['treatment']}: {shown}, {arm['mode']}, {arm['status']}"


def judged_lines(one: Mapping[str, Any]) -> list[str]:
    """Every gate of a fit, and what is left of its arms."""
    if one["refused"]:
        return [f"not fitted: {one['refused']}"]
    rows = []
    for row in one["gates"]:
        value = "–" if row["value"] is None else f"{row['value']:.4g}"
        rows.append([row["gate"], row["check"], row["arm"] or "all", value, row["limit"], row["outcome"], row["note"]])
    lines = table_lines(["gate", "check", "arm", "value", "expected", "outcome", ""], rows)
    return [*lines, *(_arm_line(arm) for arm in one["arms"])]
