"""The sample logs: their form, and that what was planted can be found in them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from graphrep.datasets.sample import HOST_NUDGES, HOST_SESSIONS, SampleSpec, sample_logs
from graphrep.datasets.sample.crowd import Taste, gather
from graphrep.datasets.sample.golive import Sessions
from graphrep.datasets.sample.keys import Keys
from graphrep.datasets.sample.live import live
from graphrep.datasets.sample.population import populate
from graphrep.errors import InputError
from graphrep.vocab import ECOMMERCE, LIVE, SEARCH, SHORT_VIDEO

SURFACES = (SHORT_VIDEO, LIVE, ECOMMERCE, SEARCH)
DAY_MS = 86_400_000
EVENT = ["event_id", "ts", "user_id", "action"]
COLUMNS = {
    SHORT_VIDEO: [*EVENT, "item_id", "host_id", "duration"],
    LIVE: [*EVENT, "host_id", "room_id", "duration", "value"],
    ECOMMERCE: [*EVENT, "item_id", "host_id", "value"],
    SEARCH: [*EVENT, "query", "item_type", "item_id", "host_id"],
    HOST_SESSIONS: ["room_id", "host_id", "start_ts", "end_ts"],
    HOST_NUDGES: ["ts", "host_id", "arm", "eligible", "randomised", "propensity"],
}


class Sample:
    """A sample in memory, columns as numpy arrays."""

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec
        self.truth: dict[str, pa.Table] = {}
        self.logs: dict[str, dict[str, pa.Table]] = defaultdict(dict)
        for name, ds, table in sample_logs(spec):
            if ds is None:
                self.truth[name] = table
            else:
                assert ds not in self.logs[name]
                self.logs[name][ds] = table
        self.days = sorted(self.logs[LIVE])

    def column(self, table: str, name: str, days: list[str] | None = None) -> np.ndarray[Any, Any]:
        parts = [plain(self.logs[table][day], name) for day in days or self.days]
        return np.concatenate(parts)

    def watches(self, day: str) -> list[tuple[str, str]]:
        table = self.logs[LIVE][day]
        kept = plain(table, "action") == "watch"
        return list(zip(plain(table, "user_id")[kept], plain(table, "host_id")[kept], strict=True))

    def known(self, table: str, key: str, value: str) -> dict[str, Any]:
        rows = self.truth[f"truth/{table}"]
        return dict(zip(plain(rows, key), plain(rows, value), strict=True))


def plain(table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    column = table[name].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    return column.to_numpy(zero_copy_only=False)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(SampleSpec(users=1500, days=8, seed=5))


@pytest.fixture(scope="module")
def fortnight() -> Sample:
    return Sample(SampleSpec(users=1500, days=14, seed=6))


@pytest.fixture(scope="module")
def many_hosts() -> Sample:
    return Sample(SampleSpec(users=100, days=6, seed=7, hosts=30_000))


# --- form ---------------------------------------------------------------------------------------------------


def test_same_seed_same_tables_and_another_seed_others() -> None:
    spec = SampleSpec(users=60, days=2, seed=1)
    first, second = list(sample_logs(spec)), list(sample_logs(spec))
    other = list(sample_logs(SampleSpec(users=60, days=2, seed=2)))
    assert all(a[:2] == b[:2] and a[2].equals(b[2]) for a, b in zip(first, second, strict=True))
    assert not any(a[2].equals(b[2]) for a, b in zip(first, other, strict=True))


def test_a_longer_run_starts_with_the_same_days() -> None:
    short, long = (Sample(SampleSpec(users=200, days=days, seed=3)) for days in (3, 6))
    for name in COLUMNS:
        for day in short.days:
            assert short.logs[name][day].equals(long.logs[name][day]), (name, day)
    for name, table in short.truth.items():
        assert table.equals(long.truth[name].slice(0, table.num_rows)), name


def test_logs_hold_the_agreed_columns_and_nothing_of_the_truth(sample: Sample) -> None:
    assert set(sample.logs) == set(COLUMNS)
    for name, columns in COLUMNS.items():
        schemas = {table.schema for table in sample.logs[name].values()}
        assert len(schemas) == 1
        assert schemas.pop().names == columns
    assert set(sample.truth) == {f"truth/{name}" for name in ("users", "hosts", "videos", "products", "nudge_effects")}


def test_no_key_of_a_later_day_hides_in_a_dictionary(sample: Sample) -> None:
    first = sample.known("users", "user_id", "first_day")
    for number, day in enumerate(sample.days):
        dictionary = sample.logs[SHORT_VIDEO][day]["user_id"].combine_chunks().dictionary.to_pylist()
        assert max(first[user] for user in dictionary) == number


def test_rows_lie_inside_their_day_in_order(sample: Sample) -> None:
    for number, day in enumerate(sample.days):
        midnight = sample.spec.day_start(number)
        assert day == dt.datetime.fromtimestamp(midnight / 1000, dt.UTC).date().isoformat()
        for name, column in [
            *((surface, "ts") for surface in (*SURFACES, HOST_NUDGES)),
            (HOST_SESSIONS, "start_ts"),
        ]:
            ts = plain(sample.logs[name][day], column)
            assert midnight <= ts[0] <= ts[-1] < midnight + DAY_MS
            assert (np.diff(ts) >= 0).all(), (name, day)
        assert (plain(sample.logs[HOST_SESSIONS][day], "end_ts") < midnight + DAY_MS).all()


def test_event_ids_are_unique_over_all_surfaces_and_days(sample: Sample) -> None:
    ids = np.concatenate([sample.column(surface, "event_id") for surface in SURFACES])
    assert len(np.unique(ids)) == len(ids) > 50_000


def test_live_events_lie_inside_a_session_of_their_host(sample: Sample) -> None:
    rooms = sample.column(HOST_SESSIONS, "room_id")
    assert len(set(rooms)) == len(rooms)
    start, end = (sample.column(HOST_SESSIONS, name) for name in ("start_ts", "end_ts"))
    host = sample.column(HOST_SESSIONS, "host_id")
    of_room = {room: i for i, room in enumerate(rooms)}
    at = np.array([of_room[room] for room in sample.column(LIVE, "room_id")])
    ts, lasts = sample.column(LIVE, "ts"), np.nan_to_num(sample.column(LIVE, "duration").astype(float))
    assert (sample.column(LIVE, "host_id") == host[at]).all()
    assert (start[at] <= ts).all()
    assert (ts + 1000 * lasts <= end[at] + 1).all()


def test_sessions_of_a_host_do_not_overlap_and_are_short(sample: Sample) -> None:
    host, start, end = (sample.column(HOST_SESSIONS, name) for name in ("host_id", "start_ts", "end_ts"))
    order = np.lexsort([start, host])
    same = host[order][1:] == host[order][:-1]
    assert same.sum() > 100
    assert (start[order][1:][same] > end[order][:-1][same]).all()
    minutes = (end - start) / 60_000
    assert 15 <= minutes.min() <= minutes.max() <= 300


def test_each_action_fills_its_own_columns(sample: Sample) -> None:
    day = sample.days[3]
    for surface, column, filled in (
        (SHORT_VIDEO, "duration", {"watch", "skip"}),
        (LIVE, "duration", {"watch", "skip"}),
        (LIVE, "value", {"gift"}),
        (ECOMMERCE, "value", {"buy"}),
    ):
        table = sample.logs[surface][day]
        has = table[column].is_valid().to_numpy()
        assert set(plain(table, "action")[has]) == filled
        assert not set(plain(table, "action")[~has]) & filled
        assert pc.min(table[column]).as_py() >= 0
    search = sample.logs[SEARCH][day]
    has_host = search["host_id"].is_valid().to_numpy()
    assert (has_host == (plain(search, "item_type") != "product")).all()
    assert set(plain(search, "item_type")) == {"host", "video", "product"}
    first = [
        item[0] == kind[0] for item, kind in zip(plain(search, "item_id"), plain(search, "item_type"), strict=True)
    ]
    assert all(first)


def test_a_buy_follows_a_cart_and_a_cart_a_view(sample: Sample) -> None:
    rows = zip(*(sample.column(ECOMMERCE, name) for name in ("user_id", "item_id", "action", "ts")), strict=True)
    seen: dict[tuple[str, str, str], int] = {}
    buys = 0
    for user, item, action, ts in rows:
        before = {"cart": "view", "buy": "cart"}.get(action)
        assert before is None or seen[user, item, before] <= ts
        seen[user, item, action] = ts
        buys += action == "buy"
    assert buys > 200


@pytest.mark.parametrize(
    "bad",
    [
        {"users": 19},
        {"users": 20.5},
        {"users": True},
        {"days": 0},
        {"days": 4000},
        {"seed": -1},
        {"topics": 2},
        {"hosts": 3},
        {"start": "2026-03-01"},
        {"start": dt.datetime(2026, 3, 1, tzinfo=dt.UTC)},
        {"start": dt.date(1960, 1, 1)},
    ],
    ids=str,
)
def test_a_bad_spec_is_refused_in_one_line_that_names_it(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refusal:
        SampleSpec(**{"users": 100, "days": 2, "seed": 0, **bad})
    assert next(iter(bad)) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_smallest_sample_works() -> None:
    small = Sample(SampleSpec(users=20, days=3, seed=0, topics=6))
    assert sum(len(small.column(surface, "ts")) for surface in SURFACES) > 50


def test_a_day_without_a_live_host_has_no_live_row_and_the_same_columns(sample: Sample) -> None:
    spec, day = sample.spec, 2
    people, keys = populate(spec), Keys.of(spec, day)
    nobody = Sessions(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))
    crowd = gather(spec, people, Taste.of(people.users, spec.topics), nobody, day)
    table = live(crowd, keys, pa.array([], pa.string()))
    assert table.num_rows == 0
    assert table.schema.equals(sample.logs[LIVE][sample.days[day]].schema)


# --- people -------------------------------------------------------------------------------------------------


def test_density_and_surface_mix(sample: Sample) -> None:
    for day in sample.days:
        counts = {surface: sample.logs[surface][day].num_rows for surface in SURFACES}
        active = set().union(*(set(plain(sample.logs[surface][day], "user_id")) for surface in SURFACES))
        assert 8 <= sum(counts.values()) / len(active) <= 12
        assert counts[SHORT_VIDEO] > 0.6 * sum(counts.values())


def test_cold_users_are_many_and_some_watch_their_first_room_every_day(fortnight: Sample) -> None:
    seen: set[str] = set()
    everyone: set[str] = set()
    never_before = 0.0
    for day in fortnight.days:
        everyone |= {user for surface in SURFACES for user in plain(fortnight.logs[surface][day], "user_id")}
        watchers = {user for user, _ in fortnight.watches(day)}
        never_before = 1 - len(seen) / len(everyone)
        assert len(watchers - seen) >= 0.03 * len(everyone), day
        seen |= watchers
    assert 0.40 <= never_before <= 0.55


def test_first_live_days_are_as_planted(sample: Sample) -> None:
    planted = sample.known("users", "user_id", "live_from_day")
    first: dict[str, int] = {}
    for number, day in enumerate(sample.days):
        assert all(planted[user] <= number for user in plain(sample.logs[LIVE][day], "user_id"))
        for user, _ in sample.watches(day):
            first.setdefault(user, number)
    for number in range(1, len(sample.days)):
        due = {user for user, day in planted.items() if day == number}
        assert due
        assert due <= set(first)
        assert all(first[user] == number for user in due)


def test_newcomers_appear_every_day(sample: Sample) -> None:
    users: set[str] = set()
    hosts: set[str] = set()
    videos: set[str] = set()
    for number, day in enumerate(sample.days):
        user = set().union(*(set(plain(sample.logs[surface][day], "user_id")) for surface in SURFACES))
        host = set(plain(sample.logs[HOST_SESSIONS][day], "host_id"))
        video = set(plain(sample.logs[SHORT_VIDEO][day], "item_id"))
        if number:
            for key, new in (("user", user - users), ("host", host - hosts), ("video", video - videos)):
                born = sample.known(f"{key}s", f"{key}_id", "first_day")
                assert sum(born[k] == number for k in new) > 0, (key, day)
        users, hosts, videos = users | user, hosts | host, videos | video


def test_some_users_stay_away_from_a_surface(sample: Sample) -> None:
    for surface, column, share in ((ECOMMERCE, "in_ecommerce", 0.30), (SEARCH, "in_search", 0.40)):
        goes = sample.known("users", "user_id", column)
        assert all(goes[user] for user in sample.column(surface, "user_id"))
        assert abs(1 - np.mean(list(goes.values())) - share) < 0.05


def test_activity_and_popularity_have_long_tails(sample: Sample) -> None:
    users = np.concatenate([sample.column(surface, "user_id") for surface in SURFACES])
    for keys, part, least in (
        (users, 0.01, 0.05),
        (sample.column(LIVE, "host_id"), 0.10, 0.30),
        (sample.column(SHORT_VIDEO, "item_id"), 0.01, 0.06),
    ):
        counts = np.sort(np.unique(keys, return_counts=True)[1])[::-1]
        top = counts[: int(part * len(counts))].sum() / counts.sum()
        assert least < top < 0.6


def test_users_keep_their_hours(sample: Sample) -> None:
    peak = sample.known("users", "user_id", "peak_hour")
    hour = sample.column(SHORT_VIDEO, "ts") % DAY_MS / 3_600_000
    own = np.array([peak[user] for user in sample.column(SHORT_VIDEO, "user_id")])

    def apart(other: np.ndarray[Any, Any]) -> float:
        return float(np.mean(np.abs((hour - other + 12) % 24 - 12)))

    assert apart(own) < 3.2
    assert apart(np.random.default_rng(0).permutation(own)) > 4.5
    by_user = np.array([peak[user] for user in sample.column(LIVE, "user_id")])
    hour = sample.column(LIVE, "ts") % DAY_MS / 3_600_000
    assert apart(by_user) < 0.85 * apart(np.random.default_rng(0).permutation(by_user))


# --- interests ----------------------------------------------------------------------------------------------


def test_dislike_falls_outside_the_interests_and_liked_things_hold_longer(sample: Sample) -> None:
    topics = {
        row["user_id"]: {row["topic_1"], row["topic_2"], row["topic_3"]}
        for row in sample.truth["truth/users"].to_pylist()
    }
    for surface, key, table, bad in (
        (SHORT_VIDEO, "item_id", "videos", "report"),
        (LIVE, "host_id", "hosts", "skip"),
    ):
        topic = sample.known(table, f"{table[:-1]}_id", "topic_1")
        users, items = sample.column(surface, "user_id"), sample.column(surface, key)
        match = np.array([topic[item] in topics[user] for user, item in zip(users, items, strict=True)])
        action, seconds = sample.column(surface, "action"), sample.column(surface, "duration").astype(float)
        for disliked in {bad, "skip"}:
            assert match[action == disliked].mean() < 0.45, (surface, disliked)
        assert match.mean() > 0.7
        watch = action == "watch"
        assert np.median(seconds[watch & match]) > 1.5 * np.median(seconds[watch & ~match])
        assert match[action == "like"].mean() > 0.8


def query_topics(sample: Sample, days: list[str]) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Non-live logs alone: the topic word most used to find each host or item, each user's topic counts."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    queries = [query.split()[0] for query in sample.column(SEARCH, "query", days)]
    items, hosts = sample.column(SEARCH, "item_id", days), sample.column(SEARCH, "host_id", days)
    for topic, item, host in zip(queries, items, hosts, strict=True):
        for key in {item, host} - {None}:
            found[key][topic] += 1
    label = {key: max(sorted(counts), key=lambda topic: counts[topic]) for key, counts in found.items()}
    users: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for user, topic in zip(sample.column(SEARCH, "user_id", days), queries, strict=True):
        users[user][topic] += 1
    for surface in (SHORT_VIDEO, ECOMMERCE):
        parts = (sample.column(surface, name, days) for name in ("user_id", "item_id", "host_id"))
        for user, item, host in zip(*parts, strict=True):
            topic = label.get(item) or label.get(host)
            if topic:
                users[user][topic] += 1
    return label, users


def first_watches(sample: Sample) -> list[tuple[str, str]]:
    """Last day's watches of users who had never watched live before."""
    before = {user for day in sample.days[:-1] for user, _ in sample.watches(day)}
    return [(user, host) for user, host in sample.watches(sample.days[-1]) if user not in before]


def test_first_live_watches_share_the_topics_of_the_other_surfaces(sample: Sample) -> None:
    """Logs only: no truth is read here."""
    label, users = query_topics(sample, sample.days[:-1])
    all_watched = [label[host] for _, host in sample.watches(sample.days[-1]) if host in label]
    hits, base = [], []
    for user, host in first_watches(sample):
        if user not in users or host not in label:
            continue
        counts = users[user]
        top = set(sorted(counts, key=lambda topic: (-counts[topic], topic))[:3])
        hits.append(label[host] in top)
        base.append(np.mean([topic in top for topic in all_watched]))
    assert len(hits) >= 40
    assert np.mean(hits) >= 2.5 * np.mean(base)


def test_interest_ranks_hosts_better_than_popularity_for_cold_users(sample: Sample) -> None:
    """Logs only: a low-rank factorisation of who met which author elsewhere, against the most watched."""
    early, last = sample.days[:-1], sample.days[-1]
    others = (SHORT_VIDEO, ECOMMERCE, SEARCH)
    users = np.concatenate([sample.column(surface, "user_id", early) for surface in others])
    hosts = np.concatenate([sample.column(surface, "host_id", early) for surface in others])
    kept = np.array([host is not None for host in hosts])
    names, row = np.unique(users[kept].astype(str), return_inverse=True)
    authors, col = np.unique(hosts[kept].astype(str), return_inverse=True)
    met = np.zeros((len(names), len(authors)))
    np.add.at(met, (row, col), 1.0)
    met = np.log1p(met) / np.sqrt(np.log1p(met).sum(axis=0))
    left, strength, right = np.linalg.svd(met, full_matrices=False)
    score = (left[:, :20] * strength[:20]) @ right[:20]
    today = set(plain(sample.logs[HOST_SESSIONS][last], "host_id"))
    watched = [host for day in early for _, host in sample.watches(day)]
    candidates = [i for i, author in enumerate(authors) if author in today]
    popular = sorted(candidates, key=lambda i: -watched.count(authors[i]))[:10]
    place = {name: i for i, name in enumerate(names)}
    by_interest, by_popularity, chance = [], [], 10 / len(candidates)
    for user, host in first_watches(sample):
        if user not in place:
            continue
        best = sorted(candidates, key=lambda i: -score[place[user], i])[:10]
        by_interest.append(host in authors[best])
        by_popularity.append(host in authors[popular])
    assert np.mean(by_popularity) > 1.5 * chance
    assert np.mean(by_interest) > 1.3 * np.mean(by_popularity)


# --- nudges -------------------------------------------------------------------------------------------------


def host_days(sample: Sample) -> dict[str, np.ndarray[Any, Any]]:
    """Eligible host-days: arm, randomised, went live, planted baseline and effects of arms 0..2."""
    effects: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    truth = sample.truth["truth/nudge_effects"]
    for host, arm, effect in zip(*(plain(truth, name) for name in ("host_id", "arm", "effect")), strict=True):
        effects[host][arm] = effect
    baseline = sample.known("nudge_effects", "host_id", "baseline")
    went = []
    for day in sample.days:
        today = set(plain(sample.logs[HOST_SESSIONS][day], "host_id"))
        went.append([host in today for host in plain(sample.logs[HOST_NUDGES][day], "host_id")])
    kept = sample.column(HOST_NUDGES, "eligible").astype(bool)
    host = sample.column(HOST_NUDGES, "host_id")[kept]
    return {
        "arm": sample.column(HOST_NUDGES, "arm")[kept],
        "randomised": sample.column(HOST_NUDGES, "randomised").astype(bool)[kept],
        "live": np.concatenate(went)[kept].astype(float),
        "baseline": np.array([baseline[h] for h in host]),
        "effect": np.array([effects[h] for h in host]),
    }


def test_policy_assignment_is_confounded_and_the_randomised_slice_is_not(many_hosts: Sample) -> None:
    rows = host_days(many_hosts)
    free = rows["randomised"]
    nudged = (rows["arm"] > 0).astype(float)
    assert 0.08 < free.mean() < 0.12
    assert np.corrcoef(nudged[~free], rows["baseline"][~free])[0, 1] > 0.15
    assert abs(np.corrcoef(nudged[free], rows["baseline"][free])[0, 1]) < 3.5 / np.sqrt(free.sum())
    arms = np.bincount(rows["arm"][free], minlength=3) / free.sum()
    assert np.abs(arms - 1 / 3).max() < 0.02
    policy = np.bincount(rows["arm"][~free], minlength=3) / (~free).sum()
    assert policy.min() > 0.05


def test_planted_effects_show_in_the_randomised_slice_and_not_in_the_policy_rows(many_hosts: Sample) -> None:
    rows = host_days(many_hosts)

    def difference(arm: int, kept: np.ndarray[Any, Any]) -> tuple[float, float]:
        treated, control = (rows["live"][kept & (rows["arm"] == a)] for a in (arm, 0))
        spread = treated.var() / len(treated) + control.var() / len(control)
        return float(treated.mean() - control.mean()), float(np.sqrt(spread))

    free = rows["randomised"]
    for arm in (1, 2):
        effect = rows["effect"][:, arm]
        found, error = difference(arm, free)
        assert error < 0.012
        assert found > 4 * error
        assert abs(found - effect[free].mean()) < 3.5 * error
        naive, naive_error = difference(arm, ~free)
        assert naive - effect[~free].mean() > 5 * naive_error
        strong = effect > np.median(effect)
        gap = difference(arm, free & strong)[0] - difference(arm, free & ~strong)[0]
        planted = effect[free & strong].mean() - effect[free & ~strong].mean()
        assert planted > 0.1
        assert abs(gap - planted) < 7 * error


def test_effects_differ_between_hosts_and_some_harm(many_hosts: Sample) -> None:
    effect = host_days(many_hosts)["effect"]
    assert (effect[:, 0] == 0).all()
    for arm in (1, 2):
        assert effect[:, arm].std() > 0.05
    assert 0.02 < (effect[:, 2] < -0.1).mean() < 0.2


def test_propensity_stands_on_randomised_rows_only_and_nobody_ineligible_is_nudged(sample: Sample) -> None:
    table = pa.concat_tables(sample.logs[HOST_NUDGES].values())
    known, free = table["propensity"].is_valid().to_numpy(), plain(table, "randomised").astype(bool)
    assert (known == free).all()
    assert np.allclose(plain(table, "propensity")[free].astype(float), 1 / 3)
    eligible = plain(table, "eligible").astype(bool)
    assert 0.05 < 1 - eligible.mean() < 0.2
    assert (plain(table, "arm")[~eligible] == 0).all()
    assert not free[~eligible].any()


def test_nudges_come_before_every_session_of_their_day(sample: Sample) -> None:
    for day in sample.days:
        starts = plain(sample.logs[HOST_SESSIONS][day], "start_ts")
        assert plain(sample.logs[HOST_NUDGES][day], "ts").max() < starts.min()
