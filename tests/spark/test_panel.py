"""The panel of hosts and days: every column against plain Python, nothing of a day in its covariates, slips refused."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graphrep.config import Uplift, load_config
from graphrep.contracts import LOG_EVENT, PANEL, Event, Panel
from graphrep.contracts.spark import spark_schema
from graphrep.contracts.uplift import COVARIATES
from graphrep.errors import StoreError
from graphrep.panel import DELIVERED, panel_rows
from graphrep.panel.build import eligible, over_days
from graphrep.panel.clock import number_of
from graphrep.panel.days import host_days
from graphrep.panel.signals import HOST, signals
from graphrep.store.spark import spark_errors

ZERO = dt.date(2026, 1, 5)
DAY_MS = 86_400_000
LAST, LATE, DAYS = 44, 2, 4
HOSTS = 7
STEPS = {"few": 1, "many": 3}
HOUR = 12
LOCAL = Path(__file__).resolve().parents[2] / "configs" / "local.yaml"
SETTINGS = Uplift.model_validate(
    {
        "enabled": True,
        "days": DAYS,
        "authorised_days": 400,
        "horizons": (1, 7),
        "authorised": {"domain": "host", "actions": ("allow",)},
        "revoked": {"domain": "host", "actions": ("ban",)},
        "starts": {"domain": "host", "actions": ("go_live",)},
        "ends": {"domain": "host", "actions": ("end",)},
        "nudges": {
            "domain": "host",
            "given": "nudge",
            "policy": "chance",
            "lot": "draw",
            "delivered": "seen",
            "arms": {"push": {"cost": 1, "cap": 1}, "gift": {"cost": 2, "cap": 0.5}},
        },
        "exposure": {"domain": "feed", "actions": ("impression",), "until_hour": HOUR, "steps": STEPS, "lot": "boost"},
        "fit": load_config(LOCAL).uplift.fit,
    }
)
Row = dict[str, Any]


def ds(day: int) -> str:
    return (ZERO + dt.timedelta(days=day)).isoformat()


def ms(day: int, hour: float) -> int:
    return int(((ZERO - dt.date(1970, 1, 1)).days + day) * DAY_MS + hour * 3_600_000)


def event(day: int, hour: float, action: str, host: str, **more: Any) -> Row:
    """An event of a time, delivered on its day; ``late`` days later."""
    feed = action in ("impression", "boost")
    return {
        Event.EVENT_ID: more.pop("id", f"{action}:{day}:{hour}:{host}:{more.get('name')}"),
        Event.TS: ms(day, hour),
        Event.DS: ds(day),
        Event.DOMAIN: "feed" if feed else "host",
        Event.USER_ID: host if feed else "somebody",
        Event.ACTION: action,
        Event.ITEM_ID: more.get("name"),
        Event.HOST_ID: "h-other" if feed else host,
        Event.ROOM_ID: more.get("room"),
        Event.VALUE: more.get("value"),
        Event.DURATION: more.get("seconds"),
        DELIVERED: ds(day + more.get("late", 0)),
    }


def random_events(seed: int) -> list[Row]:
    """Six weeks of seven hosts with everything that can be odd: late, twice, over midnight, lost, banned, two arms."""
    chance = random.Random(seed)
    rows: list[Row] = []
    for n in range(HOSTS):
        host = f"h{n}"
        rows.append(event(n * 3, 5, "allow", host))
        if n % 3 == 1:
            rows += [event(30, 6, "ban", host), event(38, 6.5, "allow", host)]
        for day in range(LAST + 1):
            rows += _random_day(chance, host, day)
    for row in chance.sample(rows, len(rows) // 10):
        late = min((dt.date.fromisoformat(row[Event.DS]) - ZERO).days + chance.randint(0, LATE), LAST)
        copy = {**row, DELIVERED: ds(late)}
        rows = [copy if other is row else other for other in rows] if chance.random() < 0.7 else [*rows, copy]
    return rows


def _random_day(chance: random.Random, host: str, day: int) -> list[Row]:
    rows = []
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2]) if host != "h6" or day == 5 else 0):
        hour, length = chance.randrange(0, 96) / 4, chance.choice([0, 600, 1800, 7200])
        room = f"r{day}:{hour}" if chance.random() < 0.8 else None
        over = hour + length / 3600
        if chance.random() < 0.9:
            rows.append(event(day, hour, "go_live", host, room=room))
        if day + over // 24 <= LAST:
            rows.append(event(day + int(over // 24), over % 24, "end", host, room=room, seconds=float(length)))
    rows += _random_nudges(chance, host, day)
    rows += [event(day, chance.randrange(0, 96) / 4, "impression", host) for _ in range(chance.choice([0, 1, 2, 4, 6]))]
    if chance.random() < 0.3:
        rows.append(event(day, 0.5, "boost", host, name=chance.choice(["boost", "none"]), value=0.25))
    return rows


def _random_nudges(chance: random.Random, host: str, day: int) -> list[Row]:
    rows = []
    for kind in ("chance", "draw") if chance.random() < 0.2 else ("chance",) if chance.random() < 0.7 else ():
        for name in ("push", "gift"):
            if chance.random() < 0.95:
                value = chance.choice([0.1, 0.3, 0.45, 0.6])
                rows.append(event(day, 1, kind, host, name=name, value=value))
    for name in chance.sample(["push", "gift"], chance.choice([0, 0, 1, 1, 1, 2])):
        for hour in (9, 9.25)[: chance.choice([1, 1, 2])]:
            rows.append(event(day, hour, "nudge", host, name=name))
        if chance.random() < 0.8:
            rows.append(event(day, 10, "seen", host, name=name))
    return rows


def frame(spark: Any, rows: Iterable[Row]) -> Any:
    """Events with the day of their delivery."""
    names = [*LOG_EVENT.names, DELIVERED]
    schema = spark_schema(LOG_EVENT).add(DELIVERED, "string")
    return spark.createDataFrame([[row.get(name) for name in names] for row in rows], schema)


def made(
    spark: Any, rows: Iterable[Row], settings: Uplift = SETTINGS, **options: Any
) -> dict[tuple[str, str, str], Row]:
    """The panel's rows by family, day and host."""
    with spark_errors("the panel"):
        found = [row.asDict() for row in panel_rows(frame(spark, rows), settings, ds(LAST), LATE, **options).collect()]
    keyed = {(row[Panel.FAMILY], row[Panel.DS], row[Panel.HOST]): row for row in found}
    assert len(keyed) == len(found), "one row per family, day and host"
    return keyed


@pytest.fixture(scope="module")
def events() -> list[Row]:
    return random_events(3)


@pytest.fixture(scope="module")
def panel(spark: Any, events: list[Row]) -> dict[tuple[str, str, str], Row]:
    return made(spark, events)


# ---- plain Python ----------------------------------------------------------------------------------------------------


class Oracle:
    """The same by loops over one host's events, from the definitions."""

    def __init__(self, rows: list[Row], host: str) -> None:
        first: dict[tuple[str, str], Row] = {}
        for row in sorted(rows, key=lambda r: r[DELIVERED]):
            first.setdefault((row[Event.DS], row[Event.EVENT_ID]), row)
        mine = [r for r in first.values() if r[Event.USER_ID if r[Event.DOMAIN] == "feed" else Event.HOST_ID] == host]
        self.of: dict[str, list[Row]] = defaultdict(list)
        for row in mine:
            day = (dt.date.fromisoformat(row[Event.DS]) - ZERO).days
            known = (dt.date.fromisoformat(row[DELIVERED]) - ZERO).days
            self.of[row[Event.ACTION]].append({**row, "day": day, "known": known})

    def before(self, action: str, day: int, back: int = 10_000) -> list[Row]:
        return [r for r in self.of[action] if r["known"] < day and day - back <= r["day"] < day]

    def eligible(self, day: int) -> bool:
        allowed = max((r[Event.TS] for r in self.before("allow", day)), default=None)
        banned = max((r[Event.TS] for r in self.before("ban", day)), default=-1)
        last = [r for a in ("go_live", "end") for r in self.before(a, day, 1) if r["known"] == r["day"]]
        begun = max((r[Event.TS] for r in last if r[Event.ACTION] == "go_live"), default=-1)
        over = max((r[Event.TS] for r in last if r[Event.ACTION] == "end"), default=-1)
        return allowed is not None and allowed > banned and begun <= over

    def sessions(self) -> list[tuple[int, float]]:
        """Start in ms, minutes."""
        found = [(r[Event.TS], 0.0) for r in self.of["go_live"]]
        for end in self.of["end"]:
            room = [r for r in self.of["go_live"] if r[Event.ROOM_ID] == end[Event.ROOM_ID]]
            starts = [r[Event.TS] for r in room if r[Event.TS] <= end[Event.TS]]
            start = max(starts, default=end[Event.TS] - round(end[Event.DURATION] * 1000))
            found.append((start, end[Event.DURATION] / 60))
        return found

    def arms(self, day: int) -> set[str]:
        return {r[Event.ITEM_ID] for r in self.of["nudge"] if r["day"] == day}

    def step(self, day: int) -> str:
        served = sum(r["day"] == day and r[Event.TS] < ms(day, HOUR) for r in self.of["impression"])
        return max((name for name, least in STEPS.items() if served >= least), key=STEPS.__getitem__, default="none")

    def chances(self, day: int, action: str) -> list[float] | None:
        own = {r[Event.ITEM_ID]: r[Event.VALUE] for r in self.of[action] if r["day"] == day}
        if set(own) != {"push", "gift"} or sum(own.values()) > 1:
            return None
        return [1 - sum(own.values()), own["push"], own["gift"]]

    def outcomes(self, day: int, hour: float) -> Row:
        def within(days: int) -> list[tuple[int, float]]:
            return [s for s in self.sessions() if ms(day, hour) <= s[0] < ms(day + days, 0)]

        return {
            f"{name}_{days}d": value if day + days - 1 + LATE <= LAST else None
            for days in (1, 7)
            for name, value in (("live", float(bool(within(days)))), ("minutes", sum(s[1] for s in within(days))))
        }

    def covariates(self, day: int) -> Row:
        def live(back: int) -> int:
            return len({r["day"] for r in self.before("go_live", day, back)})

        def nudged(back: int) -> int:
            return len({(r["day"], r[Event.ITEM_ID]) for r in self.before("nudge", day, back)})

        def since(action: str) -> int:
            return min(29, day - max((r["day"] for r in self.before(action, day)), default=-100))

        same = {r["day"] for r in self.before("go_live", day, 28) if (day - r["day"]) % 7 == 0}
        return {
            **{f"history__live_days_{n}": live(n) for n in (1, 3, 7, 14, 28)},
            **{f"history__nudges_{n}": nudged(n) for n in (1, 7, 14)},
            **{f"history__served_{n}": len(self.before("impression", day, n)) for n in (1, 7, 28)},
            **{
                f"history__minutes_{n}": sum(r[Event.DURATION] for r in self.before("end", day, n)) / 60
                for n in (7, 28)
            },
            Panel.LIVE_SAME_WEEKDAY_28: len(same),
            Panel.DAYS_SINCE_LIVE: since("go_live"),
            Panel.DAYS_SINCE_NUDGE: since("nudge"),
            Panel.WEEKDAY: (ZERO + dt.timedelta(days=day)).isoweekday(),
            Panel.TENURE_DAYS: day - min(r["day"] for r in self.before("allow", day)),
            Panel.AS_OF: ds(max(r["known"] for a in KNOWN for r in self.before(a, day))),
        }


KNOWN = ("allow", "ban", "go_live", "end", "nudge", "impression")
FIRST = LAST - (DAYS - 1) - 6 - LATE


def expected(rows: list[Row]) -> dict[tuple[str, str, str], Row]:
    found = {}
    for host in {f"h{n}" for n in range(HOSTS)}:
        one = Oracle(rows, host)
        for day in range(FIRST, LAST + 2):
            if not one.eligible(day):
                continue
            shared = {Panel.DS: ds(day), Panel.HOST: host, **one.covariates(day)}
            shared[Panel.IS_NEW] = int(shared[Panel.TENURE_DAYS] <= 7)
            shared[Panel.LIVE_BEFORE] = float(any(ms(day - 1, 0) <= s[0] < ms(day, 0) for s in one.sessions()))
            if len(one.arms(day)) < 2:
                found["nudge", ds(day), host] = shared | _nudge(one, day) | one.outcomes(day, 0)
            if not any(ms(day, 0) <= s[0] < ms(day, HOUR) for s in one.sessions()):
                found["exposure", ds(day), host] = shared | _exposure(one, day) | one.outcomes(day, HOUR)
    return found


def _nudge(one: Oracle, day: int) -> Row:
    arm, following = min(one.arms(day), default="none"), one.arms(day + 1)
    drawn = one.chances(day, "draw")
    seen = any(r["day"] == day for r in one.of["seen"])
    told = {
        Panel.ARM: arm,
        Panel.ASSIGNED_BY: "policy" if drawn is None else "lot",
        Panel.CHANCES: drawn or one.chances(day, "chance"),
        Panel.DELIVERED: int(arm != "none" and seen),
    }
    alone = day < LAST and len(following) < 2
    return {
        **(told if day <= LAST else dict.fromkeys(told)),
        Panel.FUTURE_ARM: min(following, default="none") if alone else None,
        Panel.BOOST: None,
        Panel.BOOST_CHANCE: None,
    }


def _exposure(one: Oracle, day: int) -> Row:
    boosts = [r for r in one.of["boost"] if r["day"] == day]
    told = {
        Panel.ARM: one.step(day),
        Panel.ASSIGNED_BY: "policy",
        Panel.DELIVERED: int(one.step(day) != "none"),
        Panel.BOOST: int(boosts[0][Event.ITEM_ID] == "boost") if boosts else None,
        Panel.BOOST_CHANCE: boosts[0][Event.VALUE] if boosts else None,
    }
    future = one.step(day + 1) if day < LAST else None
    return {**(told if day <= LAST else dict.fromkeys(told)), Panel.FUTURE_ARM: future, Panel.CHANCES: None}


def test_every_column_is_what_loops_over_the_events_give(events: list[Row], panel: Any) -> None:
    wanted = expected(events)
    assert panel.keys() == wanted.keys()
    assert len(panel) > 100
    for key, row in wanted.items():
        for name, value in row.items():
            close = pytest.approx(value, rel=1e-5) if isinstance(value, float | list) else value
            assert panel[key][name] == close, (key, name)
        assert set(PANEL.names) - set(row) == {Panel.FAMILY, "embedding", "embedding_ds", "embedding_space"}


def test_the_random_events_hold_every_case(panel: Any) -> None:
    """Else the comparison above would say nothing of some of them."""
    rows = list(panel.values())
    for name, values in {
        Panel.ARM: {"none", "push", "gift", "few", "many", None},
        Panel.ASSIGNED_BY: {"lot", "policy", None},
        Panel.DELIVERED: {0, 1, None},
        Panel.BOOST: {0, 1, None},
        Panel.LIVE_1D: {0, 1, None},
        Panel.LIVE_7D: {0, 1, None},
        Panel.IS_NEW: {0},
    }.items():
        assert {row[name] for row in rows} >= values, name
    assert any(row[Panel.CHANCES] is None for row in rows if row[Panel.FAMILY] == "nudge")
    hosts_per_day = defaultdict(set)
    for family, day, host in panel:
        hosts_per_day[family, day].add(host)
    assert min(map(len, hosts_per_day.values())) < HOSTS, "somebody is banned, live or has two arms"


def test_the_day_itself_and_what_came_later_change_nothing_that_its_rows_know(
    spark: Any, events: list[Row], panel: Any
) -> None:
    day = FIRST + 5
    earlier = [row for row in events if row[DELIVERED] < ds(day)]
    others = [row for row in random_events(4) if row[Event.DS] >= ds(day)]
    again = made(spark, earlier + others)
    told = [key for key in panel.keys() & again.keys() if key[1] <= ds(day)]
    assert len({host for family, ds_, host in told if ds_ == ds(day)}) >= HOSTS - 3
    for key in told:
        names = [*COVARIATES, Panel.AS_OF, Panel.IS_NEW]
        assert [panel[key][name] for name in names] == [again[key][name] for name in names], key
    arms = [(panel[key][Panel.ARM], again[key][Panel.ARM]) for key in told if key[1] == ds(day)]
    assert any(one != other for one, other in arms), "the day itself was another"


SLIPS = {
    "allow": "authorised",
    "ban": "revoked",
    "go_live": "starts",
    "end": "ends",
    "nudge": "nudges.given",
    "impression": "exposure",
}


SLIP_DAY = FIRST + 2


def slipped(action: str, host: str) -> list[Row]:
    """An authorised host with a sound event, and one of the decision day that passes for one of the day before."""
    late = event(SLIP_DAY, 8, action, host, id=f"slipped {host}", name="push", seconds=60.0)
    sound = event(SLIP_DAY - 3, 6, action, host, id=f"sound {host}", name="push")
    before = {Event.DS: ds(SLIP_DAY - 1), DELIVERED: ds(SLIP_DAY - 1)}
    return [event(0, 5, "allow", host), sound, {**late, **before}]


def refusal(kind: str) -> str:
    return f"panel refused: {kind} known before the decision day, found {ds(SLIP_DAY)} for {ds(SLIP_DAY)}"


@pytest.fixture(scope="module")
def known(spark: Any) -> Iterator[Any]:
    """What is known on every day of hosts of whom one input slipped each, named by it."""
    told = signals(frame(spark, [row for action in SLIPS for row in slipped(action, action)]), SETTINGS)
    days = over_days(host_days(told, SETTINGS, number_of(ds(FIRST)), number_of(ds(LAST + 1)))).persist()
    yield days
    days.unpersist()


@pytest.mark.parametrize("action", SLIPS)
def test_an_input_of_the_decision_day_that_passes_for_the_day_before_is_refused(known: Any, action: str) -> None:
    with pytest.raises(StoreError, match=refusal(SLIPS[action])), spark_errors("the panel"):
        eligible(known.where(known[HOST] == action)).collect()


def test_the_refusal_is_one_line_of_the_whole_panel(spark: Any) -> None:
    with pytest.raises(StoreError, match=refusal("nudges.given")) as refused:
        made(spark, slipped("nudge", "h0"))
    assert "\n" not in str(refused.value)


def test_a_nudge_of_an_arm_that_is_not_configured_is_refused(spark: Any) -> None:
    rows = [event(0, 5, "allow", "h0"), event(FIRST, 9, "nudge", "h0", name="shove")]
    with pytest.raises(StoreError, match="panel refused: nudges of the arms gift, push, found shove"):
        made(spark, rows)


def test_a_panel_may_begin_later_and_have_one_kind_of_treatment_and_one_horizon(spark: Any, events: list[Row]) -> None:
    settings = SETTINGS.model_copy(update={"days": 10, "exposure": None, "horizons": (1,), "ends": None})
    found = made(spark, events, settings, first_ds=ds(LAST - 10))
    assert {key[0] for key in found} == {"nudge"}
    assert min(key[1] for key in found) == ds(LAST - 10)
    assert {row[Panel.LIVE_1D] for row in found.values()} == {0, 1, None}
    unknown = (Panel.LIVE_7D, Panel.MINUTES_1D, Panel.MINUTES_7D)
    assert {row[name] for row in found.values() for name in unknown} == {None}
    assert {row[Panel.SERVED_28] for row in found.values()} == {0}
