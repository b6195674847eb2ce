"""Signals → ``golive_panel_v1`` without the embedding: who is eligible on which day, arms, labels, covariates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep.config import Exposure, Nudges, Uplift
from graphrep.contracts import PANEL, Panel
from graphrep.contracts.spark import select_contract
from graphrep.contracts.uplift import CONTROL, EXPOSURE, LOT, NUDGE, POLICY
from graphrep.panel import days, history
from graphrep.panel.clock import ds_of, first_decision, is_mature, known_before, number_of
from graphrep.panel.signals import BY_LOT, BY_POLICY, DAY, HOST, signals

NEW_DAYS = 7
"""Days after a host's first authorisation on which it counts as new."""
TOLERANCE = 1e-6
"""By which the chances of all arms together may be above 1."""

_OPEN = "_open"
_REST, _MS_REST = "_rest", "_ms_rest"
_NEXT_FIRST, _NEXT_LAST, _NEXT_SERVED = "_next_first", "_next_last", "_next_served"


def panel_rows(events: DataFrame, settings: Uplift, ds: str, lateness_days: int, first_ds: str = "") -> DataFrame:
    """The host-days of a data day, from the oldest decision day to the day after: ``golive_panel_v1``, no embedding.

    A host is there on a day if it was authorised at the end of the day before and not live at midnight. For nudges also
    only if not two arms were given; for exposure only if no session began before ``until_hour``. On the day after the
    data day nothing is assigned yet.

    Args:
        events: ``log_event_v1`` with ``DELIVERED``, up to the data day, by either column; from ``LOOKBACK`` days before
            the oldest decision day on, authorisations as far back as they are looked for.
        first_ds: oldest decision day where events do not reach back far enough for
            :func:`graphrep.panel.clock.first_decision`.

    Raises:
        An error of Spark that says ``REFUSED``, when the frame is written: an input that is known too late, or a nudge
        of an arm that is not configured.
    """
    first, last = number_of(max(first_ds, first_decision(settings, ds, lateness_days))), number_of(ds)
    told = days.host_days(signals(events, settings), settings, first, last + 1)
    known = eligible(over_days(told))
    families: dict[str, Mapping[str, Column]] = {}
    kept: Column = F.lit(False)
    family = F.col(Panel.FAMILY)
    if settings.nudges is not None:
        families[NUDGE] = _nudged(settings, settings.nudges, last, lateness_days)
        one = F.coalesce(F.col(days.FIRST_ARM) == F.col(days.LAST_ARM), F.lit(True))
        kept = kept | ((family == NUDGE) & one)
    if settings.exposure is not None:
        families[EXPOSURE] = _exposed(settings, settings.exposure, last, lateness_days)
        kept = kept | ((family == EXPOSURE) & (F.coalesce(F.col(days.LIVE_EARLY), F.lit(0)) == 0))
    each = known.withColumn(Panel.FAMILY, F.explode(F.array(*map(F.lit, families)))).where(kept)
    return select_contract(each.withColumns(_by_family(families)), PANEL)


def _by_family(families: Mapping[str, Mapping[str, Column]]) -> dict[str, Column]:
    """Columns that each kind of treatment has in its own way."""
    found: dict[str, Column] = {}
    for family, columns in families.items():
        for name, column in columns.items():
            own = F.when(F.col(Panel.FAMILY) == family, column)
            found[name] = F.coalesce(found[name], own) if name in found else own
    absent = [column.name for column in PANEL.columns if column.nullable and column.name not in found]
    return found | dict.fromkeys(absent, F.lit(None))


def over_days(told: DataFrame) -> DataFrame:
    """Running sums of what is before a day, and what is within its horizons, over the days of a host."""
    in_order = Window.partitionBy(HOST).orderBy(DAY)
    so_far = in_order.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    before, after, rest = (in_order.rangeBetween(*ends) for ends in ((-1, -1), (1, 1), (1, 6)))
    begun, over = F.max(days.LAST_START).over(before), F.max(days.LAST_END).over(before)
    return told.withColumns(
        {
            **{name: F.coalesce(F.sum(name).over(so_far), F.lit(0)) for name in history.SUMS},
            **{name: F.max(name).over(so_far) for name in days.LATEST},
            history.FIRST_DAY: F.min(history.FIRST_DAY).over(so_far),
            _OPEN: F.coalesce(begun > F.coalesce(over, F.lit(-1)), F.lit(False)),
            Panel.LIVE_BEFORE: F.coalesce(F.max(days.LIVE).over(before), F.lit(0)),
            _REST: F.max(days.LIVE).over(rest),
            _MS_REST: F.sum(days.MS).over(rest),
            _NEXT_FIRST: F.max(days.FIRST_ARM).over(after),
            _NEXT_LAST: F.max(days.LAST_ARM).over(after),
            _NEXT_SERVED: F.max(days.SERVED_NOW).over(after),
        }
    )


def eligible(known: DataFrame) -> DataFrame:
    """Decision days on which the host was authorised and not live, with what every family has alike."""
    newest = F.greatest(*[known_before(F.col(DAY), F.col(column), kind) for kind, column in days.NEWEST.items()])
    allowed = F.col(days.AUTHORISED_TS) > F.coalesce(F.col(days.REVOKED_TS), F.lit(-1))
    # What is known too late is looked for first, on every decision day: it may be why a host seems not to be eligible.
    # Terms of a conjunction may be worked out in any order, those of a choice may not.
    kept = known.where((F.col(days.ASKED) == 1) & F.when(newest < F.col(DAY), allowed & ~F.col(_OPEN)))
    return kept.withColumns(
        {
            **history.covariates(),
            Panel.AS_OF: ds_of(newest),
            Panel.DS: ds_of(F.col(DAY)),
            Panel.HOST: F.col(HOST),
            Panel.IS_NEW: (F.col(DAY) - F.col(history.FIRST_DAY) <= NEW_DAYS).cast("int"),
        }
    )


def _nudged(settings: Uplift, nudges: Nudges, last: int, late: int) -> dict[str, Column]:
    assigned = F.col(DAY) <= last
    arm = F.coalesce(F.col(days.FIRST_ARM), F.lit(CONTROL))
    by_lot, by_policy = (_chances(days.chance_columns(kind, settings)) for kind in (BY_LOT, BY_POLICY))
    following = F.coalesce(F.col(_NEXT_FIRST), F.lit(CONTROL))
    reached = F.coalesce(F.col(days.RECEIVED), F.lit(0)) if nudges.delivered else F.lit(1)
    alone = F.coalesce(F.col(_NEXT_FIRST) == F.col(_NEXT_LAST), F.lit(True))
    return {
        Panel.ARM: F.when(assigned, arm),
        Panel.ASSIGNED_BY: F.when(assigned, F.when(by_lot.isNotNull(), F.lit(LOT)).otherwise(F.lit(POLICY))),
        Panel.CHANCES: F.when(assigned, F.coalesce(by_lot, by_policy)),
        Panel.DELIVERED: F.when(assigned, F.when(arm == CONTROL, F.lit(0)).otherwise(reached)),
        Panel.FUTURE_ARM: F.when((F.col(DAY) < last) & alone, following),
        **_labels(settings, F.col(days.LIVE), F.col(days.MS), last, late),
    }


def _chances(columns: list[str]) -> Column:
    """Chances of the control and of the arms, null where one is missing or they are no chances."""
    own = [F.col(column) for column in columns]
    total = reduce(Column.__add__, own)  # null where one is
    sound = reduce(Column.__and__, [chance >= 0 for chance in own]) & (total <= 1 + TOLERANCE)
    control = F.greatest(F.lit(1.0) - total, F.lit(0.0))
    # Without a null in them, which the contract's type does not have; where one was, there is no array.
    return F.when(sound, F.array(*[F.coalesce(chance, F.lit(0.0)).cast("float") for chance in (control, *own)]))


def _exposed(settings: Uplift, exposure: Exposure, last: int, late: int) -> dict[str, Column]:
    assigned = F.col(DAY) <= last
    arm = _step(F.col(days.SERVED_NOW), exposure)
    return {
        Panel.ARM: F.when(assigned, arm),
        # A lot draws the boost; how many impressions come of it is still the ranker's doing.
        Panel.ASSIGNED_BY: F.when(assigned, F.lit(POLICY)),
        Panel.DELIVERED: F.when(assigned, (arm != CONTROL).cast("int")),
        Panel.BOOST: F.when(assigned, F.col(days.BOOSTED)),
        Panel.BOOST_CHANCE: F.when(assigned, F.col(days.BOOST_CHANCE)),
        Panel.FUTURE_ARM: F.when(F.col(DAY) < last, _step(F.col(_NEXT_SERVED), exposure)),
        **_labels(settings, F.col(days.LIVE_LATER), F.col(days.MS_LATER), last, late),
    }


def _step(served: Column, exposure: Exposure) -> Column:
    """The highest step whose number of impressions was reached."""
    found: Column = F.lit(CONTROL)
    for name, least in exposure.steps.items():
        found = F.when(served >= least, F.lit(name)).otherwise(found)
    return found


def _labels(settings: Uplift, live: Column, ms: Column, last: int, late: int) -> dict[str, Column]:
    """Outcomes of the day's own sessions and of the six days after, null until they are known."""
    none = F.lit(0)
    lasted = F.coalesce(ms, none)
    told = {
        1: (Panel.LIVE_1D, Panel.MINUTES_1D, live, lasted),
        7: (
            Panel.LIVE_7D,
            Panel.MINUTES_7D,
            F.greatest(live, F.col(_REST)),
            lasted + F.coalesce(F.col(_MS_REST), none),
        ),
    }
    found: dict[str, Column] = {}
    for horizon in settings.horizons:
        live_name, minutes_name, went, length = told[horizon]
        known = is_mature(F.col(DAY), horizon, last, late)
        found[live_name] = F.when(known, F.coalesce(went, none))
        if settings.ends:
            found[minutes_name] = F.when(known, length / F.lit(60_000))
    return found
