"""Unseen negatives: an event counts only if the user went on, strictly later, in the same session."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrep.config import NodeSource, Relation
from graphrep.contracts import LOG_EVENT
from graphrep.contracts.spark import spark_schema
from graphrep.edges import daily_edges

GAP = 5
BASE = yaml.safe_load((Path(__file__).parents[2] / "configs" / "base.yaml").read_text(encoding="utf-8"))
NODES = {"user": NodeSource(column="user_id"), "video": NodeSource(column="item_id", item_type="video")}


def relation(domain: str, strength: str, *confirmed_by: str) -> Relation:
    given = {"domain": domain, "actions": ("skip",), "from": "user", "to": "video", "strength": strength}
    return Relation.model_validate({**BASE["relation_defaults"], **given, "confirmed_by": confirmed_by})


RELATIONS = {
    "unseen_or_not": relation("feed", "unit"),
    "before_a_watch": relation("feed", "unit", "watch"),
    "before_any": relation("feed", "unit", "watch", "skip"),
    "in_search": relation("search", "unit", "watch"),
    "ranked": relation("feed", "duration_percentile", "watch"),
}


def event(ts: int, action: str, user: str = "u", domain: str = "feed", ds: str = "2026-03-01") -> dict[str, Any]:
    row = {"event_id": "e", "ts": ts, "ds": ds, "domain": domain, "user_id": user, "action": action}
    return {
        **dict.fromkeys(LOG_EVENT.names),
        **row,
        "item_type": "video",
        "item_id": f"v{ts % 7}",
        "duration": 1.0 * ts,
    }


def edges_of(spark: Any, events: list[dict[str, Any]]) -> dict[tuple[str, str, str, str], tuple[float, int, int]]:
    rows = [tuple(e[name] for name in LOG_EVENT.names) for e in events]
    made = daily_edges(
        spark.createDataFrame(rows, spark_schema(LOG_EVENT)), RELATIONS, NODES, gap_minutes=GAP / 60_000
    ).collect()
    return {(r["ds"], r["relation"], r["src_key"], r["dst_key"]): (r["weight"], r["count"], r["last_ts"]) for r in made}


def sessions(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Events of one user, surface and day, cut at each pause longer than the gap."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for own in events:
        groups.setdefault((own["user_id"], own["domain"], own["ds"]), []).append(own)
    found = []
    for group in groups.values():
        group.sort(key=lambda e: e["ts"])
        found.append([group[0]])
        for before, own in pairwise(group):
            if own["ts"] - before["ts"] > GAP:
                found.append([])
            found[-1].append(own)
    return found


def confirmed(events: list[dict[str, Any]]) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    """Count and newest time of the skips that each relation counts."""
    found: dict[tuple[str, str, str, str], list[int]] = {}
    for session in sessions(events):
        for own in session:
            later = {e["action"] for e in session if e["ts"] > own["ts"]}
            for name, rel in RELATIONS.items():
                counts = not rel.confirmed_by or later & set(rel.confirmed_by)
                if own["action"] == "skip" and own["domain"] == rel.domain and counts:
                    found.setdefault((own["ds"], name, own["user_id"], own["item_id"]), []).append(own["ts"])
    return {edge: (len(times), max(times)) for edge, times in found.items()}


one_event = st.builds(
    event,
    ts=st.integers(0, 60),
    action=st.sampled_from(["skip", "skip", "watch", "look"]),
    user=st.sampled_from(["u", "w"]),
    domain=st.sampled_from(["feed", "feed", "search"]),
    ds=st.sampled_from(["2026-03-01", "2026-03-02"]),
)


@settings(max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(events=st.lists(one_event, min_size=40, max_size=90))
def test_what_counts_is_what_brute_force_says(spark: Any, events: list[dict[str, Any]]) -> None:
    assert {edge: row[1:] for edge, row in edges_of(spark, events).items()} == confirmed(events)


def test_equal_times_pauses_other_users_surfaces_and_days_confirm_nothing(spark: Any) -> None:
    skips = [event(0, "skip"), event(100, "skip"), event(201, "skip"), event(300, "skip"), event(400, "skip")]
    others = [
        event(0, "watch"),  # at the same time as a skip: no order
        event(100 + GAP, "watch"),  # a pause as long as the gap is still one session
        event(201 + GAP + 1, "watch"),  # a longer one is not
        event(300 + 1, "watch", user="w"),
        event(300 + 1, "watch", domain="search"),
        event(300 + 1, "watch", ds="2026-03-02"),
        event(400 + GAP, "look"),  # any event keeps the session going
        event(400 + 2 * GAP, "watch"),
    ]
    made = edges_of(spark, skips + others)
    assert {edge[3]: row[2] for edge, row in made.items() if edge[1] == "before_a_watch"} == {
        "v2": 100,
        "v1": 400,
    }
    # Ranked among all five skips, the second and the fifth of them: (1.5 + 2) / 9 and (4.5 + 2) / 9.
    assert {edge[3]: row[0] for edge, row in made.items() if edge[1] == "ranked"} == {"v2": 0.388889, "v1": 0.722222}
