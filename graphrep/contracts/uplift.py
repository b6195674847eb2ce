"""``golive_panel_v1``: one row per authorised host, day and kind of treatment, as it was known before the day began."""

from __future__ import annotations

from typing import Final

from graphrep.contracts.table import Column, Contract

NUDGE: Final = "nudge"
EXPOSURE: Final = "exposure"
FAMILIES: Final = (NUDGE, EXPOSURE)
"""Kinds of treatment; no fit mixes them. The first is also the item type of what names an arm in an event."""

CONTROL: Final = "none"
"""Name of the arm without treatment in every family."""

LOT: Final = "lot"
POLICY: Final = "policy"
"""Who assigned an arm: a draw with logged chances, or anything else."""


class Panel:
    """Column names of ``golive_panel_v1``; covariates begin with the name of their kind and two underscores."""

    FAMILY = "family"
    DS = "ds"
    HOST = "host_id"
    ARM = "arm"
    ASSIGNED_BY = "assigned_by"
    CHANCES = "chances"
    DELIVERED = "delivered"
    BOOST = "boost"
    BOOST_CHANCE = "boost_chance"
    LIVE_1D = "live_1d"
    LIVE_7D = "live_7d"
    MINUTES_1D = "minutes_1d"
    MINUTES_7D = "minutes_7d"
    LIVE_BEFORE = "live_before"
    FUTURE_ARM = "future_arm"
    IS_NEW = "is_new"
    LIVE_DAYS_1 = "history__live_days_1"
    LIVE_DAYS_3 = "history__live_days_3"
    LIVE_DAYS_7 = "history__live_days_7"
    LIVE_DAYS_14 = "history__live_days_14"
    LIVE_DAYS_28 = "history__live_days_28"
    LIVE_SAME_WEEKDAY_28 = "history__live_same_weekday_28"
    DAYS_SINCE_LIVE = "history__days_since_live"
    MINUTES_7 = "history__minutes_7"
    MINUTES_28 = "history__minutes_28"
    NUDGES_1 = "history__nudges_1"
    NUDGES_7 = "history__nudges_7"
    NUDGES_14 = "history__nudges_14"
    DAYS_SINCE_NUDGE = "history__days_since_nudge"
    SERVED_1 = "history__served_1"
    SERVED_7 = "history__served_7"
    SERVED_28 = "history__served_28"
    WEEKDAY = "calendar__weekday"
    TENURE_DAYS = "profile__tenure_days"
    EMBEDDING = "embedding"
    EMBEDDING_DS = "embedding_ds"
    EMBEDDING_SPACE = "embedding_space"
    AS_OF = "as_of"


LOOKBACK: Final = 28
"""Days before a decision that histories look back to; an age that is not within them is one more."""


def _live_days(name: str, days: int) -> Column:
    return Column(name, "float32", f"of the {days} days before, those with a session", "days")


def _count(name: str, what: str, days: int) -> Column:
    return Column(name, "float32", f"{what} on the {days} days before")


PANEL = Contract(
    name="golive_panel_v1",
    grain=(Panel.FAMILY, Panel.DS, Panel.HOST),
    owner="recommendation modelling",
    meaning="one host and decision day; the day after the data day has no treatment yet and is there to be scored",
    columns=(
        Column(Panel.FAMILY, "string", "nudge or exposure: which treatment arm tells of"),
        Column(Panel.DS, "string", "decision day; the decision is at its first moment", "YYYY-MM-DD, UTC"),
        Column(Panel.HOST, "string", "authorised before the day, and not live when it began"),
        Column(Panel.ARM, "string", "what was assigned; none is the control, null: not assigned yet", nullable=True),
        Column(Panel.ASSIGNED_BY, "string", "lot: drawn with the chances; else policy", nullable=True),
        Column(Panel.CHANCES, "list<float32>", "of each arm as configured, the control first", nullable=True),
        Column(Panel.DELIVERED, "int32", "1: the treatment reached the host", nullable=True),
        Column(Panel.BOOST, "int32", "exposure: 1 boosted by lot, 0 drawn and not boosted", nullable=True),
        Column(Panel.BOOST_CHANCE, "float32", "of the boost, where there was a lot", nullable=True),
        Column(Panel.LIVE_1D, "float32", "1: a session began within the day; null: not known yet", nullable=True),
        Column(Panel.LIVE_7D, "float32", "the same within 7 days", nullable=True),
        Column(Panel.MINUTES_1D, "float32", "of the sessions begun within the day, in all", "min", nullable=True),
        Column(Panel.MINUTES_7D, "float32", "the same within 7 days", "min", nullable=True),
        Column(Panel.LIVE_BEFORE, "float32", "1: a session began on the day before, which no treatment can change"),
        Column(Panel.FUTURE_ARM, "string", "arm of the day after; null: not known yet", nullable=True),
        Column(Panel.IS_NEW, "int32", "1: authorised within the 7 days before"),
        _live_days(Panel.LIVE_DAYS_1, 1),
        _live_days(Panel.LIVE_DAYS_3, 3),
        _live_days(Panel.LIVE_DAYS_7, 7),
        _live_days(Panel.LIVE_DAYS_14, 14),
        _live_days(Panel.LIVE_DAYS_28, 28),
        Column(Panel.LIVE_SAME_WEEKDAY_28, "float32", "of the 4 same weekdays before, those with a session", "days"),
        Column(Panel.DAYS_SINCE_LIVE, "float32", f"since the last session; {LOOKBACK + 1}: longer", "days"),
        _count(Panel.MINUTES_7, "minutes of the sessions that ended", 7),
        _count(Panel.MINUTES_28, "minutes of the sessions that ended", 28),
        _count(Panel.NUDGES_1, "nudges", 1),
        _count(Panel.NUDGES_7, "nudges", 7),
        _count(Panel.NUDGES_14, "nudges", 14),
        Column(Panel.DAYS_SINCE_NUDGE, "float32", f"since the last nudge; {LOOKBACK + 1}: longer", "days"),
        _count(Panel.SERVED_1, "live impressions served", 1),
        _count(Panel.SERVED_7, "live impressions served", 7),
        _count(Panel.SERVED_28, "live impressions served", 28),
        Column(Panel.WEEKDAY, "float32", "of the decision day; Monday is 1"),
        Column(Panel.TENURE_DAYS, "float32", "since the first authorisation", "days"),
        Column(Panel.EMBEDDING, "list<float32>", "of the host as a host; null: not in the graph", nullable=True),
        Column(Panel.EMBEDDING_DS, "string", "data day of its release, before the decision day", nullable=True),
        Column(Panel.EMBEDDING_SPACE, "string", "its basis", nullable=True),
        Column(Panel.AS_OF, "string", "newest day that any covariate knows, before the decision day", "YYYY-MM-DD"),
    ),
)

COVARIATES: Final = tuple(name for name in PANEL.names if "__" in name)
"""Names of the covariates beside the embedding."""
