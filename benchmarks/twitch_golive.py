"""Who goes live within a week: real hosts of Twitch, July 2019, with and without features of the graph of their games.

python -m benchmarks.twitch_golive ../shared/data/twitch_golive_2019_07

Learnt at the end of 17 July on the seven days after it, judged at the end of 24 July on 25 to 31 July: nothing that is
learnt from or known lies in the week that is judged. The floor is the count of live days from 1 to 24 July.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import Event
from graphrep.datasets.twitch_golive import ADAPTER, BROADCAST, GO_LIVE
from graphrep.embed import fit
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.store import sources

FIRST = (dt.date(2019, 6, 30) - dt.date(1970, 1, 1)).days
WEEK = 7
LEARNT, JUDGED = 17, 24  # days after 30 June at whose end is decided
SPANS = (1, 3, 7, 14, 17)
HALF_LIFE = 7


def read(folder: Path) -> tuple[pa.Table, pa.Array]:
    """Raw rows of all days, and the hosts."""
    chosen = {s.pattern: s for s in ADAPTER.sources}
    files = [path for path in sorted(folder.iterdir()) if any(path.match(pattern) for pattern in chosen)]
    tables = {path.name: sources.read_source(path, list(ADAPTER.sources[0].columns)) for path in files}
    rows = pa.concat_tables([part for _, _, part in ADAPTER.convert(tables)], promote_options="default")
    rows = rows.filter(pc.is_valid(rows[Event.USER_ID]))
    return rows, rows[Event.USER_ID].unique()


def counts(rows: pa.Table, hosts: pa.Array, end: int) -> np.ndarray:
    """(hosts, f) of what each did up to a day: live days, how long ago, weekdays, hours, sessions, minutes, viewers."""
    known = rows.filter(pc.less(rows[Event.TS], (FIRST + end + 1) * vocab.DAY_MS))
    action = known[Event.ACTION]
    began, ended = known.filter(pc.equal(action, GO_LIVE)), known.filter(pc.equal(action, BROADCAST))
    host, ts = pc.index_in(began[Event.USER_ID], hosts).to_numpy(), began[Event.TS].to_numpy()
    day = ts // vocab.DAY_MS - FIRST
    live = np.zeros((len(hosts), end + 1))
    np.add.at(live, (host, day), 1)
    is_live = live > 0
    columns = [is_live[:, -span:].sum(axis=1) for span in SPANS]
    age = np.where(is_live, end - np.arange(end + 1), 99)
    columns += [age.min(axis=1), np.sort(age, axis=1)[:, 1], np.sort(age, axis=1)[:, 2]]
    columns += [live[:, -span:].sum(axis=1) for span in (7, 17)]
    columns += list(is_live[:, -14:][:, ::-1].T)
    columns += [is_live[:, -14:][:, day_of::7].sum(axis=1) for day_of in range(7)]
    hour = np.zeros((len(hosts), 6))
    np.add.at(hour, (host, ts // (4 * 3_600_000) % 6), 1)
    columns += list((hour / np.maximum(hour.sum(axis=1, keepdims=True), 1)).T)
    owner = pc.index_in(ended[Event.USER_ID], hosts).to_numpy()
    recent = ended[Event.TS].to_numpy() >= (FIRST + end - 16) * vocab.DAY_MS
    for name in (Event.DURATION, Event.VALUE):
        values = np.maximum(ended[name].fill_null(0).to_numpy(), 0)
        columns.append(np.log1p(np.bincount(owner[recent], values[recent], len(hosts))))
    columns.append(columns[-1] - columns[-2])
    return np.column_stack(columns)


def live_within(rows: pa.Table, hosts: pa.Array, end: int) -> np.ndarray:
    """(hosts,) whether each went live in the seven days after a day."""
    day = pc.floor(pc.divide(pc.cast(rows[Event.TS], pa.float64()), vocab.DAY_MS)).to_numpy() - FIRST
    inside = (day > end) & (day <= end + WEEK) & (np.asarray(rows[Event.ACTION]) == GO_LIVE)
    found = np.zeros(len(hosts), bool)
    found[pc.index_in(rows[Event.USER_ID], hosts).to_numpy()[inside]] = True
    return found


def walked(rows: pa.Table, hosts: pa.Array, end: int, dim: int, seed: int, previous: dict | None) -> dict:
    """Vectors of hosts and games from the hours that each played, the newest most, turned onto those of before."""
    known = rows.filter(
        pc.and_(pc.equal(rows[Event.ACTION], BROADCAST), pc.less(rows[Event.TS], (FIRST + end + 1) * vocab.DAY_MS))
    )
    known = known.filter(pc.is_valid(known[Event.ITEM_ID]))
    games = rows[Event.ITEM_ID].drop_null().unique()
    host, game = (
        pc.index_in(known[name], of).to_numpy() for name, of in ((Event.USER_ID, hosts), (Event.ITEM_ID, games))
    )
    age = end + FIRST - known[Event.TS].to_numpy() / vocab.DAY_MS
    weight = np.maximum(known[Event.DURATION].to_numpy(), 60) / 3600 * 2 ** (-np.maximum(age, 0) / HALF_LIFE)
    edges = {("host", "plays", "game"): EdgeList(host, game, weight.astype(np.float32))}
    graph = HeteroGraph.from_edges({"host": len(hosts), "game": len(games)}, edges)
    return dict(fit(graph, dim=dim, seed=seed, previous=previous))


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve; ties count one half."""
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[place]
    positive = label.sum()
    return float((rank[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive)))


def interval(scores: dict[str, np.ndarray], label: np.ndarray, draws: int, seed: int) -> dict[str, tuple[float, float]]:
    """95 % by drawing hosts anew, the same hosts for all scores; and of what the graph adds to the counts."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(draws):
        rows = rng.integers(0, len(label), len(label))
        own = {name: auc(score[rows], label[rows]) for name, score in scores.items()}
        for name, value in own.items():
            found.setdefault(name, []).append(value)
        found.setdefault("gain", []).append(own["counts and graph"] - own["counts"])
    return {name: tuple(np.quantile(values, (0.025, 0.975))) for name, values in found.items()}


def learnt(X: np.ndarray, label: np.ndarray, test: np.ndarray, seeds: int) -> np.ndarray:
    """Mean prediction of some seeds; the settings are fixed beforehand, not chosen on the week that is judged."""
    total = np.zeros(len(test))
    for seed in range(seeds):
        model = lgb.LGBMClassifier(
            n_estimators=250,
            learning_rate=0.03,
            num_leaves=15,
            min_child_samples=100,
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.6,
            random_state=seed,
            n_jobs=1,
            verbose=-1,
        )
        total += model.fit(X, label).predict_proba(test)[:, 1]
    return total / seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of twitch_golive_2019_07")
    parser.add_argument("--dim", type=int, default=16, help="numbers of a host's vector")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1000, help="of the interval")
    args = parser.parse_args()
    rows, hosts = read(args.data)
    label = {end: live_within(rows, hosts, end) for end in (LEARNT, JUDGED)}
    own = {end: counts(rows, hosts, end) for end in label}
    before = walked(rows, hosts, LEARNT, args.dim, 0, None)
    vectors = {LEARNT: before["host"], JUDGED: walked(rows, hosts, JUDGED, args.dim, 0, before)["host"]}
    both = {end: np.column_stack([own[end], vectors[end]]) for end in label}
    began = rows.filter(pc.equal(rows[Event.ACTION], GO_LIVE))
    day = began[Event.TS].to_numpy() // vocab.DAY_MS - FIRST
    inside = (day >= 1) & (day <= JUDGED)
    host = pc.index_in(began[Event.USER_ID], hosts).to_numpy()
    floor = np.bincount(np.unique(host[inside] * 1000 + day[inside]) // 1000, minlength=len(hosts))
    scores = {
        "live days 1-24 July": floor.astype(float),
        "counts": learnt(own[LEARNT], label[LEARNT], own[JUDGED], args.seeds),
        "counts and graph": learnt(both[LEARNT], label[LEARNT], both[JUDGED], args.seeds),
        "graph": learnt(vectors[LEARNT], label[LEARNT], vectors[JUDGED], args.seeds),
    }
    judged = label[JUDGED]
    print(f"{len(hosts):,} hosts, {judged.mean():.3f} of them live on 25 to 31 July\n")
    print("| scores | AUC | 95 % |\n|---|---|---|")
    ranges = interval(scores, judged, args.draws, 0)
    for name, score in scores.items():
        low, high = ranges[name]
        print(f"| {name} | {auc(score, judged):.4f} | {low:.4f} … {high:.4f} |")
    low, high = ranges["gain"]
    gain = auc(scores["counts and graph"], judged) - auc(scores["counts"], judged)
    print(f"| graph beside counts, gain | {gain:+.4f} | {low:+.4f} … {high:+.4f} |")


if __name__ == "__main__":
    main()
