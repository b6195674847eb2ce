"""Weights of edges learnt from the attributes of their ends, so that the walk ranks the edges first.

Gelato: Mattos, Huang, Kosan, Singh, Silva: Attribute-Enhanced Similarity Ranking for Sparse Link Prediction, KDD 2025
(arXiv 2412.00261), sections 4.1 and 4.3. A step scores a batch of edges by rows of R(3) of the graph without them, made
by sparse products through which the gradient reaches the weights. No n × n matrix: a batch holds its sources' rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from graphrep.embed.attribute_walk import Problem
from graphrep.embed.attributes import Ints, Loops, Pairs, check_shares, checked_graph, pairs_of
from graphrep.embed.backend import Backend
from graphrep.errors import InputError

_SOURCES = 512


@dataclass(frozen=True)
class Training:
    """How the weights are fitted.

    Attributes:
        epochs, patience: at most so many, and so many without a better validation.
        batches: parts of the edges, one step for each.
        hard, random: negatives of each edge: of the best-scored non-edges of its source under the untrained walk, and
            drawn among all nodes.
        rate, hidden, dropout: of the network.
        held: share of the edges that validate where the caller gives none.
    """

    epochs: int = 30
    patience: int = 5
    batches: int = 10
    hard: int = 0
    random: int = 800
    rate: float = 1e-3
    hidden: int = 128
    dropout: float = 0.5
    held: float = 0.1


@dataclass(frozen=True, eq=False)
class Weights:
    """Learnt weights.

    Attributes:
        matrix: (n, n) symmetric CSR, in (0, 1), on A ∪ Ẽ: the ``weights`` of ``enhance``.
        validation: average precision of the validation edges, first without weights (β = 0), then after each epoch.
    """

    matrix: Any
    validation: list[float] = field(default_factory=list)

    @property
    def helped(self) -> bool:
        """Whether some epoch was better on the validation edges than no weights at all."""
        return max(self.validation[1:], default=0.0) > self.validation[0]


def learn_weights(
    adjacency: Any,
    attributes: Any,
    eta: float = 0.5,
    alpha: float = 0.5,
    beta: float = 0.25,
    self_loops: Loops = "all",
    *,
    validation: Any = None,
    edge_features: Any = None,
    training: Training | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Weights:
    """Fit ``w_uv = σ(MLP([x_u + x_v ; |x_u − x_v|]))`` by the N-pair loss on the scores of the walk.

    The edges of a batch are taken out of A in both directions, so that none is predicted from itself. Its negatives
    are dealt to its edges in equal shares: ``L = mean log(1 + Σ_neg exp(s_neg − s_pos))``. Validation edges count as
    negatives while training: they are not known then. The epoch of the best average precision of the validation
    edges, among all pairs that are not training edges, is the one returned.

    Args:
        adjacency, attributes, eta, alpha, self_loops: as for ``enhance``.
        beta: share of the learnt weights while training, above 0; use the same in ``enhance``.
        validation: (n, n) sparse, edges that are not in adjacency; None: a seeded part of the edges.
        edge_features: (e, f) finite numbers to learn from beside the attributes, one row for each pair u < v of
            ``adjacency + attribute_edges(...)``, by u, then v; of a typed graph those of ``relation_features``
            (``graphrep.embed.edge_features``). Standardised here.
        seed: of the network, its batches and its negatives. On a CPU the same seed gives the same weights.
        device: torch device.

    Returns:
        Weights. Memory: O(sources of a batch · n + pairs · hidden).

    Raises:
        InputError: as ``enhance``, beta 0, fewer than two edges, no validation edge outside the graph, unfit features.

    >>> ring = sp.csr_array((np.ones(6), (np.arange(6), (np.arange(6) + 1) % 6)), shape=(6, 6))
    >>> learnt = learn_weights(ring + ring.T, np.eye(6), eta=0.0, training=Training(epochs=1))
    >>> learnt.matrix.nnz, bool((learnt.matrix.data < 1).all()), len(learnt.validation)
    (12, True, 2)
    """
    check_shares(alpha, beta, self_loops)
    if beta == 0:
        raise InputError(
            "a beta above 0", found="0", where="beta", fix="without learnt weights nothing is to be learnt"
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("an integer of at least 0", found=repr(seed), where="seed")
    Backend(device)
    pairs = pairs_of(checked_graph(adjacency), attributes, eta)
    given = _features(pairs, attributes, edge_features)
    problem = Problem(pairs, alpha, beta, self_loops, device)
    how = training or Training()
    rng = np.random.default_rng(seed)
    train, held = _parts(pairs, validation, how.held, rng)
    return _fit(problem, given, train, held, how, rng)


def _features(pairs: Pairs, attributes: Any, edge_features: Any) -> Any:
    """(e, 2r + f) CSR: symmetric in the ends of each pair."""
    x = sp.csr_array(attributes, dtype=np.float64)
    one, other = x[pairs.u], x[pairs.v]
    parts = [one + other, abs(one - other)]
    if edge_features is not None:
        extra = np.asarray(edge_features)
        if extra.ndim != 2 or len(extra) != len(pairs.u) or extra.dtype.kind not in "biuf":
            raise InputError(
                f"a matrix of real numbers with {len(pairs.u)} rows, one for each pair u < v of A and the added pairs",
                found=f"{extra.dtype} of shape {extra.shape}",
                where="edge_features",
            )
        if not np.isfinite(extra).all():
            raise InputError("finite numbers", found="others", where="edge_features")
        spread = extra.std(axis=0)
        parts.append(sp.csr_array((extra - extra.mean(axis=0)) / np.where(spread > 0, spread, 1.0)))
    return sp.hstack(parts, format="csr")


def _parts(pairs: Pairs, validation: Any, share: float, rng: np.random.Generator) -> tuple[Ints, tuple[Ints, Ints]]:
    """Positions of the training edges among the pairs, and the ends of the validation edges."""
    edges = np.flatnonzero(pairs.weight > 0)
    if len(edges) < 2:
        raise InputError("at least two edges to learn from", found=str(len(edges)), where="adjacency")
    if validation is None:
        mixed = rng.permutation(edges)
        count = min(max(1, int(share * len(edges))), len(edges) - 1)
        held = np.sort(mixed[:count])
        return np.sort(mixed[count:]), (pairs.u[held], pairs.v[held])
    if not sp.issparse(validation) or validation.shape != (pairs.n, pairs.n):
        found = f"{type(validation).__name__} of shape {np.shape(validation)}"
        raise InputError(f"a scipy.sparse matrix of shape {(pairs.n, pairs.n)}", found=found, where="validation")
    one, other = (end.astype(np.int64) for end in sp.csr_array(validation).nonzero())
    keys = np.unique(np.minimum(one, other) * pairs.n + np.maximum(one, other))
    u, v = keys // pairs.n, keys % pairs.n
    known = np.isin(keys, pairs.u[edges] * pairs.n + pairs.v[edges]) | (u == v)
    if known.any() or not len(keys):
        found = f"{int(known.sum())} of {len(keys)} that are in it or join a node to itself"
        raise InputError("validation edges, none of them in the graph", found=found, where="validation")
    return edges, (u, v)


class _Negatives:
    """Pairs that are no edges, dealt out to the edges of a batch."""

    def __init__(self, problem: Problem, known: Any, values: Any, how: Training, rng: np.random.Generator) -> None:
        import torch

        n = problem.pairs.n
        self._known, self._how, self._rng, self._n = known, how, rng, n
        self._hard = np.zeros((n, min(how.hard, n)), np.int64)
        square = 0.0
        for sources in np.array_split(np.arange(n), -(-n // _SOURCES)):
            with torch.no_grad():
                scores = problem.rows(values, torch.as_tensor(sources, device=problem.device)).T
            square += float((scores**2).sum())
            scores[_outside(known, sources, problem.device)] = -torch.inf
            self._hard[sources] = scores.topk(self._hard.shape[1]).indices.cpu().numpy()
        # Entries of R have mean 0: divided by this they have the spread 1 that the loss is made for.
        self.spread = (square / n**2) ** 0.5 or 1.0

    def deal(self, sources: Ints) -> tuple[Ints, Ints, Ints]:
        """(place of the source, node, place of the edge it is dealt to) of the batch's negatives."""
        b = len(sources)
        drawn = self._rng.integers(0, self._n, (b, self._how.random))
        nodes = np.hstack([self._hard[sources], drawn]).ravel()
        places = np.repeat(np.arange(b), len(nodes) // b)
        edge = np.asarray(self._known[sources[places], nodes]).ravel() > 0
        fair = ~edge & (nodes != sources[places])
        mixed = self._rng.permutation(np.flatnonzero(fair))
        return places[mixed], nodes[mixed], np.arange(len(mixed)) % b


def _outside(known: Any, sources: Ints, device: str) -> Any:
    """(b, n) bool: what is no candidate of these rows, edges and the node itself."""
    import torch

    mask = known[sources].toarray() > 0
    mask[np.arange(len(sources)), sources] = True
    return torch.as_tensor(mask, device=device)


def _average_precision(problem: Problem, known: Any, values: Any, held: tuple[Ints, Ints]) -> float:
    """Of the held edges among all pairs u < v that are not known; equal scores share the last of their places."""
    import torch

    n, device = problem.pairs.n, problem.device
    u, v = (torch.as_tensor(end, device=device) for end in held)
    with torch.no_grad():
        found = problem.rows(values, u)[v, torch.arange(len(u), device=device)].sort(descending=True).values
        above = torch.zeros(len(u), dtype=torch.int64, device=device)
        for sources in np.array_split(np.arange(n), -(-n // _SOURCES)):
            rows = torch.as_tensor(sources, device=device)
            candidate = ~_outside(known, sources, device) & (torch.arange(n, device=device) > rows[:, None])
            scores = problem.rows(values, rows).T[candidate].sort().values
            # a sum in another block may differ in its last digit: a pair is never below itself
            above += len(scores) - torch.searchsorted(scores, found - 1e-12 * found.abs())
    hits = torch.searchsorted(-found, -found, right=True)
    return float((hits.double() / above).mean())


def _network(width: int, how: Training, device: str) -> Any:
    from torch import nn

    layers = nn.ModuleDict(
        {
            "first": nn.Linear(width, how.hidden),
            "rest": nn.Sequential(
                nn.ReLU(),
                nn.BatchNorm1d(how.hidden),
                nn.Dropout(how.dropout),
                nn.Linear(how.hidden, how.hidden),
                nn.ReLU(),
                nn.BatchNorm1d(how.hidden),
                nn.Dropout(how.dropout),
                nn.Linear(how.hidden, 1),
            ),
        }
    )
    return layers.double().to(device)


def _weights_of(network: Any, given: Any) -> Any:
    """(e,) in (0, 1); the first layer multiplies the sparse input as it is."""
    import torch

    first = torch.sparse.mm(given, network["first"].weight.T.contiguous()) + network["first"].bias
    return torch.sigmoid(network["rest"](first)).squeeze(1)


def _fit(
    problem: Problem, given: Any, train: Ints, held: tuple[Ints, Ints], how: Training, rng: np.random.Generator
) -> Weights:
    import torch

    pairs, device = problem.pairs, problem.device
    hidden = np.setdiff1d(np.flatnonzero(pairs.weight > 0), train)
    weight = np.zeros(len(pairs.u))
    weight[train] = 1.0
    known = pairs.matrix(weight)
    untrained = problem.values(0.0, torch.as_tensor(hidden, device=device), 0.0)
    negatives = _Negatives(problem, known, untrained, how, rng)
    placed = given.tocoo()
    place = torch.as_tensor(np.stack([placed.row, placed.col]).astype(np.int64), device=device)
    given = torch.sparse_coo_tensor(
        place, torch.as_tensor(placed.data, device=device), placed.shape, is_coalesced=True, check_invariants=False
    )
    history, best, kept = [_average_precision(problem, known, untrained, held)], -1.0, np.zeros(0)
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(int(rng.integers(2**63)))
        network = _network(given.shape[1], how, device)
        optimiser = torch.optim.Adam(network.parameters(), lr=how.rate)
        for _ in range(how.epochs):
            network.train()
            for batch in np.array_split(rng.permutation(train), min(how.batches, len(train))):
                loss = _loss(problem, _weights_of(network, given), batch, hidden, negatives, rng)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                learnt = _weights_of(network, given)
            values = problem.values(learnt, torch.as_tensor(hidden, device=device), problem.beta)
            history.append(_average_precision(problem, known, values, held))
            if history[-1] > best:
                best, kept = history[-1], learnt.cpu().numpy()
            if len(history) - 1 - int(np.argmax(history[1:])) > how.patience:
                break
    return Weights(pairs.matrix(np.clip(kept, 1e-12, 1.0 - 1e-12)), history)


def _loss(
    problem: Problem, learnt: Any, batch: Ints, hidden: Ints, negatives: _Negatives, rng: np.random.Generator
) -> Any:
    import torch

    device = problem.device
    out = torch.as_tensor(np.concatenate([batch, hidden]), device=device)
    turned = rng.random(len(batch)) < 0.5
    u, v = problem.pairs.u[batch], problem.pairs.v[batch]
    sources, targets = np.where(turned, v, u), np.where(turned, u, v)
    rows = problem.rows(problem.values(learnt, out, problem.beta), torch.as_tensor(sources, device=device))
    place, node, edge = (torch.as_tensor(x, device=device) for x in negatives.deal(sources))
    positive = rows[torch.as_tensor(targets, device=device), torch.arange(len(batch), device=device)]
    difference = (rows[node, place] - positive[edge]) / negatives.spread
    # log(1 + Σ exp) with the largest term taken out, edge by edge; the 1 is a term of exponent 0
    top = torch.zeros_like(positive).scatter_reduce(0, edge, difference.detach(), "amax")
    total = torch.exp(-top).index_add(0, edge, torch.exp(difference - top[edge]))
    return (top + torch.log(total)).mean()
