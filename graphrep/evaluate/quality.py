"""The quality table: vectors and baselines on one question, by what a user has met and by what was there to be met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.evaluate import metrics

Ints = NDArray[np.int64]
Scorer = Callable[[Ints], NDArray[Any]]
"""Rows of users, (b,) → scores of all candidates, (b, m)."""

BATCH = 1024


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One line of the table; ``recall`` and ``ndcg`` are means over ``users`` users."""

    target: str
    band: str
    users: int
    model: str
    k: int
    recall: float
    ndcg: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Question:
    """Who is asked about, what they then met, and what they had met before.

    Attributes:
        name: name of the target.
        users: (u,) rows of the users that met something.
        relevant: what each met, candidate indices; an index ≥ m stands for one that is no candidate and cannot hit.
        history: users × candidates, sparse (n, m): what each had met inside the window.
        kinds: name → (m + 1,) which candidates are of a kind; the last place stands for those that are none.
    """

    name: str
    users: Ints
    relevant: Sequence[Sequence[int]]
    history: Any
    kinds: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def of_kind(self, name: str) -> Question:
        """The same of the candidates of one kind: users who met any, and those of what they met."""
        kind = self.kinds[name]
        met = [[c for c in own if kind[min(c, len(kind) - 1)]] for own in self.relevant]
        asked = [i for i, own in enumerate(met) if own]
        return replace(self, users=self.users[asked], relevant=[met[i] for i in asked], kinds={})


def quality_table(
    question: Question,
    scorers: Mapping[str, Scorer],
    *,
    k: int,
    low_history: int,
    exclude_seen: bool,
    buckets: Sequence[int] = (),
) -> list[QualityRow]:
    """Rank all candidates for every user by every scorer.

    Bands: ``all``; ``none`` for users without any history, ``low`` up to ``low_history`` candidates, ``high`` above;
    then one for each bucket of candidates met, such as ``2-3``; then one for each kind of candidates, ``met: …``: all
    candidates are ranked, and only those of the kind are looked for.
    Recall@k = hits / number met; NDCG@k with ideal gain over min(k, number met): :mod:`graphrep.evaluate.metrics`.

    Args:
        exclude_seen: candidates in a user's history are not ranked for him.
        buckets: least number of candidates met of each bucket, rising; 0 is ``none``.
    """
    seen = np.diff(question.history.indptr)[question.users]
    bands = {
        "all": np.ones(len(seen), dtype=bool),
        "none": seen == 0,
        "low": (seen > 0) & (seen <= low_history),
        "high": seen > low_history,
        **_by_bucket(seen, [least for least in buckets if least > 0]),
    }
    rows = []
    for model, scorer in scorers.items():
        recall, ndcg = _per_user(question, scorer, k, exclude_seen)
        for band, inside in bands.items():
            if inside.any():
                means = float(recall[inside].mean()), float(ndcg[inside].mean())
                rows.append(QualityRow(question.name, band, int(inside.sum()), model, k, *means))
        for kind in question.kinds:
            part = question.of_kind(kind)
            if len(part.users):
                found = (float(x.mean()) for x in _per_user(part, scorer, k, exclude_seen))
                rows.append(QualityRow(question.name, f"met: {kind}", len(part.users), model, k, *found))
    return rows


def recall_by_user(question: Question, scorer: Scorer, k: int, exclude_seen: bool) -> NDArray[np.float64]:
    """(u,) recall@k of each of the question's users."""
    return _per_user(question, scorer, k, exclude_seen)[0]


def _by_bucket(seen: Ints, starts: Sequence[int]) -> dict[str, NDArray[np.bool_]]:
    ends = [*(start - 1 for start in starts[1:]), None]
    bands = {}
    for start, end in zip(starts, ends, strict=True) if starts else ():
        name = f"{start}+" if end is None else str(start) if start == end else f"{start}-{end}"
        bands[name] = (seen >= start) & (True if end is None else seen <= end)
    return bands


def _per_user(
    question: Question, scorer: Scorer, k: int, exclude_seen: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    recall, ndcg = np.zeros(len(question.users)), np.zeros(len(question.users))
    for start in range(0, len(question.users), BATCH):
        part = slice(start, start + BATCH)
        users, relevant = question.users[part], question.relevant[part]
        ranked = metrics.top_k(scorer(users), k, exclude=question.history[users] if exclude_seen else None)
        recall[part] = metrics.recall_at_k(ranked, relevant, k, per_row=True)
        ndcg[part] = metrics.ndcg_at_k(ranked, relevant, k, per_row=True)
    return recall, ndcg
