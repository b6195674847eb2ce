"""Rows of the autocovariance of an enhanced graph in torch, with the gradient of every edge's weight.

Gelato: Mattos, Huang, Kosan, Singh, Silva: Attribute-Enhanced Similarity Ranking for Sparse Link Prediction, KDD 2025
(arXiv 2412.00261), section 4.2; R(3) of Huang, Silva, Singh, KDD 2021, section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphrep.embed.attributes import Loops, Pairs, blend

_CHUNK = 1 << 17
"""Numbers of a gradient made at once: 1 MiB of float64, which stays in the cache."""


class Problem:
    """The graph on its device, and rows of R(3) as functions of the weights of the pairs."""

    def __init__(self, pairs: Pairs, alpha: float, beta: float, self_loops: Loops, device: str) -> None:
        import torch  # who only adds edges need not load it

        self.pairs, self.alpha, self.beta, self.loops, self.device = pairs, alpha, beta, self_loops, device
        rows, columns = np.concatenate([pairs.u, pairs.v]), np.concatenate([pairs.v, pairs.u])
        order = np.lexsort((columns, rows))
        self.place = torch.as_tensor(np.stack([rows, columns])[:, order], device=device)
        self.pair = torch.as_tensor(order % len(pairs.u), device=device)
        self.weight, self.cosine = (torch.as_tensor(x, device=device) for x in (pairs.weight, pairs.cosine))
        self.similar = torch.as_tensor(pairs.similar, device=device)
        self.product = _product()

    def values(self, learnt: Any, out: Any, beta: float) -> Any:
        """Of the pairs in Ã, when those of ``out`` are not known to be edges."""
        weight = self.weight.clone()
        weight[out] = 0.0
        return blend(weight, self.similar | (weight > 0), self.cosine, learnt, self.alpha, beta)

    def rows(self, values: Any, sources: Any) -> Any:
        """(n, b) columns of R(3) of the pairs' values: R is symmetric, so they are rows as well."""
        import torch

        n, entries = self.pairs.n, values[self.pair]
        degree = torch.zeros(n, dtype=values.dtype, device=self.device).index_add(0, self.place[0], entries)
        loop = torch.zeros_like(degree) if self.loops == "none" else (degree == 0).to(degree)
        if self.loops == "all":
            loop = torch.ones_like(degree)
        degree = degree + loop
        inverse = torch.where(degree > 0, 1.0 / torch.where(degree > 0, degree, 1.0), 0.0)[:, None]
        x = torch.zeros((n, len(sources)), dtype=values.dtype, device=self.device)
        x[sources, torch.arange(len(sources), device=self.device)] = 1.0
        volume = degree.sum()
        for step in range(3):
            x = x if step == 0 else inverse * x
            x = self.product.apply(entries, x, self.place) + loop[:, None] * x
        return x / volume - degree[:, None] * degree[sources][None, :] / volume**2


def _product() -> Any:
    """Sparse symmetric matrix times a block, with the gradient of each stored entry and of the block."""
    import torch

    # torch gives its base class no type.
    class Product(torch.autograd.Function):  # type: ignore[misc]  # torch is looked at without its types
        @staticmethod
        def forward(ctx: Any, entries: Any, x: Any, place: Any) -> Any:
            ctx.save_for_backward(entries, x, place)
            return _matrix(entries, place, len(x)) @ x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            entries, x, place = ctx.saved_tensors
            to_x = _matrix(entries, place, len(x)) @ gradient if ctx.needs_input_grad[1] else None
            # torch's own gradient of the entries goes through an n × n matrix
            step = max(1, _CHUNK // x.shape[1])
            parts = [(gradient[i] * x[j]).sum(1) for i, j in zip(*(p.split(step) for p in place), strict=True)]
            return torch.cat(parts), to_x, None

    return Product


def _matrix(entries: Any, place: Any, n: int) -> Any:
    import torch

    return torch.sparse_coo_tensor(place, entries, (n, n), is_coalesced=True, check_invariants=False)
