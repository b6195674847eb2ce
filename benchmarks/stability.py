"""What a ranker that was frozen on one day loses on later days' vectors: a fresh basis each day, aligned, warm, both.

python -m benchmarks.stability sample --users 600 --days 14 --seeds 0 1 2
python -m benchmarks.stability kuairand --data ../shared/data --seeds 0

Each day has a graph of the days before it (its window, decayed by a half-life of 14 days), made here from the events
without Spark. The ranker is ``graphrep.evaluate.probe``: it tells the pairs of the next day from pairs of the same
users with things that others met. Users fall into two halves by chance; a ranker is fitted on one half's pairs and
asked about the other's, and the two areas under the curve are averaged (``--splits``: over so many such halvings).
*Loss* at an age of n days: the ranker fitted on that very day's vectors and pairs, less the one that was fitted n days
earlier; the mean over all days so far apart.

*kept*: the first day's vectors on all days, a control: what a ranker loses where no vector changes at all, because what
is asked changes. *raw*: each day with another seed, nothing else. *aligned*: the same vectors turned onto the day
before. *aligned, scaled*: and made such that the nodes of both days keep their median length. *warm*: learnt on from
the day before (of the walk: its solver starts from that day's vectors), not turned. *warm, aligned*: both.

*Length*: median length of the users' vectors on the last day, divided by the first day's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.datasets.sample import SampleSpec, sample_logs
from graphrep.embed import Training, align, fit
from graphrep.embed.autocovariance import autocovariance
from graphrep.embed.joint import joint_adjacency
from graphrep.evaluate.probe import Probe, auc, fit_probe
from graphrep.graph import EdgeList, HeteroGraph

Ints = NDArray[np.int64]
Vectors = Mapping[str, NDArray[np.float32]]
EdgeType = tuple[str, str, str]

HALF_LIFE = 14.0
NEGATIVES = 4
MOST = 3000
"""Pairs that met, of a day; more are drawn from."""
MODELS = ("walk", "history", "hybrid")
CONTROL = "kept"


@dataclass(frozen=True)
class Events:
    """Of one relation: rows of both ends, the day counted from the first, seconds."""

    src: Ints
    dst: Ints
    day: Ints
    seconds: Ints


@dataclass(frozen=True)
class Log:
    """All days of a data set, nodes numbered once. asked: relations whose next day is asked about; window in days."""

    num_nodes: dict[str, int]
    events: dict[EdgeType, Events]
    weights: dict[str, float]
    asked: tuple[EdgeType, ...]
    window: int
    days: int


def sample(users: int, days: int, window: int, seed: int) -> Log:
    """Sample logs; the first graph has a whole window, and so many days follow it."""
    spec = SampleSpec(users=users, days=window + days, seed=seed)
    tables: dict[str, list[pa.Table]] = {}
    for name, ds, table in sample_logs(spec):
        if ds is not None:
            tables.setdefault(name, []).append(table)
    of = {name: _plain(pa.concat_tables(tables[name], promote_options="default")) for name in SURFACES}
    keys: dict[str, set[str]] = {}
    chosen: dict[EdgeType, tuple[Any, ...]] = {}
    for surface, name, actions, kind, column in RELATIONS:
        table = of[surface]
        rows = np.isin(table["action"], actions) & (table[column] != "")
        if surface == "search":
            rows &= table["item_type"] == kind
        chosen["user", name, kind] = tuple(table[c][rows] for c in ("user_id", column, "ts"))
        keys.setdefault("user", set()).update(table["user_id"][rows])
        keys.setdefault(kind, set()).update(table[column][rows])
    order = {kind: np.array(sorted(found)) for kind, found in keys.items()}
    begins = int(np.datetime64(spec.ds(0), "ms").astype(np.int64))
    events = {}
    for kinds, (user, thing, ts) in chosen.items():
        ends = np.searchsorted(order[kinds[0]], user), np.searchsorted(order[kinds[2]], thing)
        events[kinds] = Events(*ends, (ts - begins) // 86_400_000, ts // 1000)
    asked = (("user", "watches_live_of", "host"), ("user", "watches_video", "video"))
    weights = {"watches_videos_of": 0.5, "buys_product": 2.0}
    return Log({kind: len(found) for kind, found in order.items()}, events, weights, asked, window, days)


SURFACES = ("short_video", "live", "ecommerce", "search")
RELATIONS = (
    ("short_video", "watches_video", ("watch",), "video", "item_id"),
    ("short_video", "likes_video", ("like",), "video", "item_id"),
    ("short_video", "watches_videos_of", ("watch", "like"), "host", "host_id"),
    ("live", "watches_live_of", ("watch",), "host", "host_id"),
    ("live", "supports_host", ("like", "gift", "follow"), "host", "host_id"),
    ("ecommerce", "views_product", ("view", "cart"), "product", "item_id"),
    ("ecommerce", "buys_product", ("buy",), "product", "item_id"),
    ("search", "searches_video", ("click",), "video", "item_id"),
    ("search", "searches_product", ("click",), "product", "item_id"),
)


def _plain(table: pa.Table) -> dict[str, NDArray[Any]]:
    found = {}
    for name in ("user_id", "action", "item_id", "host_id", "item_type", "ts"):
        if name in table.column_names:
            column = table[name] if name == "ts" else table[name].cast(pa.string()).fill_null("")
            found[name] = column.to_numpy() if name == "ts" else np.array(column.to_pylist(), dtype=str)
    return found


def kuairand(data: Path, window: int) -> Log:
    """The standard-policy log of KuaiRand-Pure, 14 days of which the first window is the first graph."""
    folder = data / "kuairand_pure_slice"
    columns = ["user_id", "video_id", "author_id", "date", "time_ms", "is_click", "long_view"]
    table = pa.concat_tables([pq.read_table(path, columns=columns) for path in sorted(folder.glob("log_*.parquet"))])
    read = {name: table[name].to_numpy() for name in columns}
    user, video, host = (np.unique(read[name], return_inverse=True) for name in ("user_id", "video_id", "author_id"))
    day = np.unique(read["date"], return_inverse=True)[1]
    events = {}
    for name, chosen in {"clicks": read["is_click"] == 1, "long_views": read["long_view"] == 1}.items():
        for kind, (_, rows) in {"video": video, "host": host}.items():
            seconds = read["time_ms"][chosen] // 1000
            made = Events(user[1][chosen], rows[chosen], day[chosen], seconds)
            events["user", f"{name}_{kind}", kind] = made
    counts = {"user": len(user[0]), "video": len(video[0]), "host": len(host[0])}
    asked = (("user", "long_views_video", "video"), ("user", "long_views_host", "host"))
    return Log(counts, events, {"clicks_host": 0.5, "long_views_host": 0.5}, asked, window, int(day.max()) + 1 - window)


def graph_of(log: Log, day: int) -> HeteroGraph:
    """Of the window that ends before a day."""
    edges = {}
    for kinds, events in log.events.items():
        inside = (events.day < day) & (events.day >= day - log.window)
        worth = 0.5 ** ((day - 1 - events.day[inside]) / HALF_LIFE)
        shape = log.num_nodes[kinds[0]], log.num_nodes[kinds[2]]
        at = np.ravel_multi_index((events.src[inside], events.dst[inside]), shape)
        pair, place = np.unique(at, return_inverse=True)
        weight = np.minimum(np.bincount(place, worth), 10).astype(np.float32)
        last = np.zeros(len(pair), np.int64)
        np.maximum.at(last, place, events.seconds[inside])
        edges[kinds] = EdgeList(*np.unravel_index(pair, shape), weight, last)
    return HeteroGraph.from_edges(log.num_nodes, edges)


@dataclass(frozen=True)
class Pairs:
    """What a day asks: rows of both types (n,), whether they met (n,), which half the user is of (splits, n)."""

    left: Ints
    right: Ints
    met: NDArray[np.bool_]
    halves: NDArray[np.bool_]


def pairs_of(
    log: Log, kinds: EdgeType, day: int, g: HeteroGraph, seed: int, *, most: int = MOST, splits: int = 1
) -> Pairs:
    """The pairs of a day among the nodes of its graph, and for each the same user with things that others met."""
    shape = log.num_nodes[kinds[0]], log.num_nodes[kinds[2]]
    known = {kind: np.zeros(n, bool) for kind, n in log.num_nodes.items()}
    for (src, _, dst), edges in g.edges.items():
        known[src][edges.src], known[dst][edges.dst] = True, True
    events = log.events[kinds]
    today = (events.day == day) & known[kinds[0]][events.src] & known[kinds[2]][events.dst]
    met = sp.csr_array((np.ones(today.sum()), (events.src[today], events.dst[today])), shape=shape)
    user, thing = sp.coo_array(met).coords
    rng = np.random.default_rng([seed, day])
    if len(user) > most:
        some = rng.choice(len(user), most, replace=False)
        user, thing = user[some], thing[some]
    others = np.repeat(user, NEGATIVES)
    drawn = rng.choice(events.dst[today], len(others))
    new = np.asarray(met[others, drawn]).ravel() == 0
    halves = np.random.default_rng(seed).random((splits, shape[0])) < 0.5
    left, right = np.append(user, others[new]), np.append(thing, drawn[new])
    return Pairs(left, right, np.arange(len(left)) < len(user), halves[:, left])


@dataclass(frozen=True)
class Judged:
    """One day's vectors of the two types of a question, with its pairs, and the rankers fitted on them."""

    left: NDArray[np.float32]
    right: NDArray[np.float32]
    asked: Pairs
    probes: list[tuple[Probe, Probe]]


def judged(vectors: Vectors, kinds: EdgeType, asked: Pairs) -> Judged:
    left, right = vectors[kinds[0]][asked.left], vectors[kinds[2]][asked.right]

    def fitted(part: NDArray[np.bool_]) -> Probe:
        return fit_probe(left[part], right[part], asked.met[part])

    return Judged(left, right, asked, [(fitted(half), fitted(~half)) for half in asked.halves])


def area(probes: list[tuple[Probe, Probe]], day: Judged) -> float:
    """Of rankers that never saw the users they are asked about; the mean over splits and halves."""
    found = []
    for both, half in zip(probes, day.asked.halves, strict=True):
        for probe, part in zip(both, (~half, half), strict=True):
            found.append(auc(day.asked.met[part], probe.scores(day.left[part], day.right[part])))
    return float(np.mean(found))


def walks(log: Log, graphs: list[HeteroGraph], dim: int, seed: int) -> dict[str, list[Vectors]]:
    """Of the joint walk."""
    raw: list[Vectors] = [_joint(log, g, dim, seed + day, None) for day, g in enumerate(graphs)]
    warm: list[Vectors] = []
    for g in graphs:
        before = np.concatenate([warm[-1][kind] for kind in g.num_nodes]) if warm else None
        warm.append(_joint(log, g, dim, seed, before))
    turned = {"aligned": chained(raw), "aligned, scaled": chained(raw, scaled=True)}
    return {"raw": raw, **turned, "warm": warm, "warm, aligned": chained(warm)}


def _joint(log: Log, g: HeteroGraph, dim: int, seed: int, before: NDArray[np.float32] | None) -> Vectors:
    if before is None:
        return fit(g, dim=dim, seed=seed, walk="joint", relation_weights=log.weights)
    joint = joint_adjacency(g, log.weights)
    x = autocovariance(joint.matrix, dim=dim, markov_time=3, seed=seed, previous=before).source
    x = (x / np.sqrt((x[np.diff(joint.matrix.indptr) > 0] ** 2).sum(axis=1).mean())).astype(np.float32)
    return {kind: x[start : start + g.num_nodes[kind]] for kind, start in joint.offsets.items()}


def histories(log: Log, graphs: list[HeteroGraph], dim: int, seed: int) -> dict[str, list[Vectors]]:
    """Of the walk from histories, with the powers of the first day; it has no warm start."""
    choice, raw = None, []
    for day, g in enumerate(graphs):
        known = {"choice": choice} if choice else {}
        made = fit(g, dim=dim, seed=seed + day, walk="history", relation_weights=log.weights, **known)
        choice = made.choice
        raw.append(made)
    return {"raw": list(raw), "aligned": chained(raw), "aligned, scaled": chained(raw, scaled=True)}


def hybrids(
    log: Log, graphs: list[HeteroGraph], dim: int, seed: int, epochs: int = 4, warm_epochs: int = 2
) -> dict[str, list[Vectors]]:
    """Of the hybrid, all of what is learnt published."""
    common: dict[str, Any] = {"model": "hybrid", "dim": dim, "walk": "history", "relation_weights": log.weights}
    cold, on = ({"training": Training(epochs=n, negatives=1024)} for n in (epochs, warm_epochs))
    first = fit(graphs[0], seed=seed, share=1.0, **common, **cold)
    raw, warm, both = [first], [first], [first]
    for day, g in enumerate(graphs[1:], 1):
        raw.append(fit(g, seed=seed + day, share=1.0, choice=first.choice, **common, **cold))
        for made, turned in ((warm, False), (both, True)):
            previous = {"previous": made[-1]} if turned else {}
            made.append(fit(g, seed=seed, begin=made[-1].state, **previous, **common, **on))
    return {"raw": list(raw), "aligned": chained(raw), "warm": list(warm), "warm, aligned": list(both)}


def chained(found: list[Vectors], *, scaled: bool = False) -> list[Vectors]:
    """Each day's turned onto the day before, perhaps with one factor for all of it."""
    turned: list[Vectors] = [found[0]]
    for vectors in found[1:]:
        now, before = align(vectors, turned[-1])[0], turned[-1]
        if scaled:
            both = {kind: now[kind].any(axis=1) & before[kind].any(axis=1) for kind in now}
            lengths = [_median({kind: x[both[kind]] for kind, x in day.items()}) for day in (before, now)]
            now = {kind: x * np.float32(lengths[0] / lengths[1]) for kind, x in now.items()}
        turned.append(now)
    return turned


def _median(vectors: Vectors) -> float:
    lengths = np.concatenate([np.linalg.norm(x, axis=1) for x in vectors.values()])
    return float(np.median(lengths[lengths > 0]))


MAKERS: dict[str, Callable[..., dict[str, list[Vectors]]]] = {"walk": walks, "history": histories, "hybrid": hybrids}


def losses(days: list[Judged]) -> tuple[float, dict[int, float], list[float]]:
    """Mean area of the rankers fitted each day; by the ranker's age in days, the mean loss; by its day, too."""
    ceiling = [area(day.probes, day) for day in days]
    by_age: dict[int, list[float]] = {}
    by_day: list[list[float]] = [[] for _ in days[1:]]
    for at, day in enumerate(days):
        for earlier in range(at):
            loss = ceiling[at] - area(days[earlier].probes, day)
            by_age.setdefault(at - earlier, []).append(loss)
            by_day[earlier].append(loss)
    means = {age: float(np.mean(found)) for age, found in by_age.items()}
    return float(np.mean(ceiling)), means, [float(np.mean(found)) for found in by_day]


def measured(
    log: Log, models: list[str], dim: int, seed: int, **pairs: int
) -> Iterator[tuple[str, str, str, float, float, dict[int, float], list[float]]]:
    """Model, mode, relation asked about, mean area, length, loss by age, loss by the day of the ranker."""
    days = range(log.window, log.window + log.days)
    graphs = [graph_of(log, day) for day in days]
    both = list(zip(days, graphs, strict=True))
    asked = {kinds: [pairs_of(log, kinds, day, g, seed, **pairs) for day, g in both] for kinds in log.asked}
    for model in models:
        begun = time.perf_counter()
        made = MAKERS[model](log, graphs, dim, seed)
        print(f"  {model}, seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
        for mode, vectors in {CONTROL: [made["raw"][0]] * len(graphs), **made}.items():
            length = _median({"user": vectors[-1]["user"]}) / _median({"user": vectors[0]["user"]})
            for kinds, questions in asked.items():
                ceiling, loss, by_day = losses([judged(v, kinds, q) for v, q in zip(vectors, questions, strict=True)])
                yield model, mode, kinds[1], ceiling, length, loss, by_day


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", choices=("sample", "kuairand"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--days", type=int, default=14, help="of vectors; kuairand has 7 after its window")
    parser.add_argument("--window", type=int, help="days in a graph; left out: 14, of kuairand 7")
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--most", type=int, default=MOST, help="pairs that met, of a day")
    parser.add_argument("--splits", type=int, default=1, help="ways in which users fall into halves, averaged")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    given = parser.parse_args()
    found: dict[tuple[str, str, str], list[tuple[float, float, dict[int, float]]]] = {}
    days: dict[tuple[str, str, str], list[list[float]]] = {}
    for seed in given.seeds:
        if given.log == "sample":
            log = sample(given.users, given.days, given.window or 14, seed)
        else:
            log = kuairand(given.data, given.window or 7)
        for model, mode, relation, ceiling, length, loss, by_day in measured(
            log, given.models, given.dim, seed, most=given.most, splits=given.splits
        ):
            found.setdefault((model, mode, relation), []).append((ceiling, length, loss))
            days.setdefault((model, mode, relation), []).append(by_day)
    ages = [age for age in (1, 3, 6, 7, 13) if age < log.days]
    print("| vectors | asked | AUC, fitted that day | length | " + " | ".join(f"loss, {age} d" for age in ages) + " |")
    print("|" + "---|" * (4 + len(ages)))
    for (model, mode, relation), seeds in found.items():
        cells = [" ".join(f"{loss[age]:.4f}" for *_, loss in seeds) for age in ages]
        ceilings = " ".join(f"{ceiling:.3f}" for ceiling, *_ in seeds)
        grown = " ".join(f"{length:.2f}" for _, length, _ in seeds)
        print(f"| {model}, {mode} | {relation} | {ceilings} | {grown} | {' | '.join(cells)} |")
    print("\n".join(["", *beyond_control(found, ages), "", *by_day_lines(days)]))


Found = Mapping[tuple[str, str, str], list[tuple[float, float, dict[int, float]]]]


def beyond_control(found: Found, ages: Sequence[int]) -> list[str]:
    """The table: of each mode's loss what the control does not lose, mean over seeds and their standard deviation."""
    lines = ["| vectors | asked | " + " | ".join(f"loss beyond the control, {age} d" for age in ages) + " |"]
    lines.append("|" + "---|" * (2 + len(ages)))
    for (model, mode, relation), seeds in found.items():
        if mode == CONTROL:
            continue
        cells = []
        for age in ages:
            pairs = zip(seeds, found[model, CONTROL, relation], strict=True)
            over = [loss[age] - control[age] for (*_, loss), (*_, control) in pairs]
            spread = f" (sd {np.std(over, ddof=1):.4f})" if len(over) > 1 else ""
            cells.append(f"{np.mean(over):.4f}{spread}")
        lines.append(f"| {model}, {mode} | {relation} | {' | '.join(cells)} |")
    return lines


def by_day_lines(days: Mapping[tuple[str, str, str], list[list[float]]]) -> list[str]:
    """The table: what the ranker of each day loses on the days after it, mean over these and over seeds."""
    count = len(next(iter(days.values()))[0])
    lines = ["| vectors | asked | " + " | ".join(f"ranker of day {day + 1}" for day in range(count)) + " |"]
    lines.append("|" + "---|" * (2 + count))
    for (model, mode, relation), seeds in days.items():
        cells = " | ".join(f"{loss:.4f}" for loss in np.mean(seeds, axis=0))
        lines.append(f"| {model}, {mode} | {relation} | {cells} |")
    return lines


if __name__ == "__main__":
    main()
