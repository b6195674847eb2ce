"""Losses on scores of drawn candidates, one row for each anchor: plain torch, on any device, in at least float32.

Each is a mean over the anchors that have a target: one without adds nothing, to the value or to a gradient. Scores are
divided by the temperature first. ``log_q`` is then taken off a drawn candidate's score, the log of how often it is
expected among an anchor's candidates, so that the sum over those stands for the sum over all (Bengio, Senécal: Adaptive
Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model, IEEE TNN 19(4), 2008; Yi et al.:
Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, RecSys 2019).

Shapes, dtypes and plain numbers are checked; the values in tensors are not, since a device would be waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch.nn.functional import logsigmoid

from graphrep.errors import InputError

Given: TypeAlias = torch.Tensor | None


def sampled_softmax(
    positive: torch.Tensor,
    negative: torch.Tensor,
    *,
    weight: Given = None,
    log_q: Given = None,
    positive_log_q: Given = None,
    accidental: Given = None,
    temperature: float = 1.0,
) -> torch.Tensor:
    """Cross entropy of each target against itself and its anchor's negatives.

    The other targets of an anchor are not in a target's denominator: they do not compete.

    Args:
        positive: (b, p) scores of an anchor's targets; where the weight is 0 there is none and any number may stand.
        negative: (b, k) scores of its negatives, its own or drawn for all; k may be 0.
        weight: (b, p) shares of the targets, at least 0, brought to a sum of one by row; None: all alike.
        log_q: (k,) or (b, k) log of the expected count of each negative; None: 0.
        positive_log_q: (b, p) the same for the targets where they were drawn too, as in a batch; None: a target is
            there for certain, 0.
        accidental: (b, k) bool, negatives that are a target of the anchor or known to it: not in the denominator.
        temperature: above 0.

    Returns:
        Scalar, in nats.

    Raises:
        InputError: another shape or dtype, or such a temperature.

    >>> sampled_softmax(torch.tensor([[0.0]]), torch.tensor([[0.0, 0.0, 5.0]]), log_q=torch.tensor([0.0, 0.0, 5.0]))
    tensor(1.3863)
    """
    _check_scores("positive", positive)
    _check_scores("negative", negative, len(positive))
    positive, negative = _scaled(positive, temperature), _scaled(negative, temperature)
    share = _shares("weight", torch.ones_like(positive) if weight is None else weight, positive)
    positive = _corrected("positive_log_q", positive, positive_log_q, positive.shape)
    negative = _corrected("log_q", negative, log_q, negative.shape, negative.shape[1:])
    # A score that counts for nothing must not reach a sum even with factor 0: 0 · ∞ is no number.
    positive = positive.masked_fill(share == 0, 0.0)
    negative = _without(negative, accidental, share.sum(1) == 0)
    each = -logsigmoid(positive - torch.logsumexp(negative, 1, keepdim=True))
    return _mean((share * each).sum(1), share)


def easy_and_hard(
    positive: torch.Tensor,
    negative: torch.Tensor,
    hard: torch.Tensor,
    *,
    share: float,
    weight: Given = None,
    log_q: Given = None,
    accidental: Given = None,
    accidental_hard: Given = None,
    temperature: float = 1.0,
) -> torch.Tensor:
    """``(1 − share)`` of the loss against easy negatives and ``share`` of that against hard ones.

    In one denominator the hard ones, whose scores are high, would leave the easy ones next to no gradient; in two the
    gradient of a negative does not depend on those of the other kind (HAP, arXiv 2603.03770, KDD 2026: easy and hard
    samples apart).

    Args:
        positive: (b, p) scores of an anchor's targets.
        negative: (b, k) scores of easy negatives: drawn.
        hard: (b, h) scores of hard negatives: ranked high by another model. None of them is corrected: not drawn.
        share: of the hard ones, 0 to 1.
        weight, log_q, accidental, temperature: see :func:`sampled_softmax`; ``log_q`` and ``accidental`` are those of
            the easy negatives.
        accidental_hard: (b, h) bool, the same as ``accidental`` for the hard ones.

    Returns:
        Scalar, in nats.

    Raises:
        InputError: a share outside 0 to 1; what :func:`sampled_softmax` refuses.

    >>> one = torch.zeros(1, 1)
    >>> easy_and_hard(one, one, torch.zeros(1, 3), share=0.5)
    tensor(1.0397)
    """
    _check_share("share", share)
    easy = sampled_softmax(
        positive, negative, weight=weight, log_q=log_q, accidental=accidental, temperature=temperature
    )
    _check_scores("hard", hard, len(positive))
    if accidental_hard is not None:
        _check("accidental_hard", accidental_hard, hard.shape, mask=True)
    apart = sampled_softmax(positive, hard, weight=weight, accidental=accidental_hard, temperature=temperature)
    return (1 - share) * easy + share * apart


def balanced(losses: Mapping[Any, tuple[torch.Tensor, int]], balance: float) -> torch.Tensor:
    """Mean of the losses of several relations, each with weight ``count^(1 − balance)``.

    Args:
        losses: by relation a scalar, the mean over its anchors, and the number of these. One of 0 is left out, whatever
            its loss; where all are, the loss is 0 and has no gradient.
        balance: 0: an anchor counts alike in each relation, 1: a relation counts alike whatever its size.

    Returns:
        Scalar.

    Raises:
        InputError: no relation, a count below 0, a loss that is no scalar, a balance outside 0 to 1.

    >>> two = {"watches": (torch.tensor(1.0), 900), "gifts": (torch.tensor(3.0), 100)}
    >>> [round(float(balanced(two, balance)), 2) for balance in (0.0, 0.5, 1.0)]
    [1.2, 1.5, 2.0]
    """
    _check_share("balance", balance)
    if not losses:
        raise InputError("at least one relation", found="none", where="losses")
    for name, (loss, count) in losses.items():
        _check(f"losses[{name!r}]", loss, ())
        if count < 0:
            raise InputError("a count of at least 0", found=str(count), where=f"losses[{name!r}]")
    kept = [(loss, count ** (1 - balance)) for loss, count in losses.values() if count]
    if not kept:
        return torch.zeros_like(next(iter(losses.values()))[0], requires_grad=True)
    total = sum(size for _, size in kept)
    return torch.stack([loss * (size / total) for loss, size in kept]).sum()


def _dtype(x: torch.Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _scaled(scores: torch.Tensor, temperature: float) -> torch.Tensor:
    if not 0 < temperature < float("inf"):
        raise InputError("a number above 0", found=repr(temperature), where="temperature")
    return scores.to(_dtype(scores)) / temperature


def _shares(name: str, weight: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Rows that sum to one, or are zeros."""
    _check(name, weight, scores.shape)
    weight = weight.to(scores.dtype)
    total = weight.sum(1, keepdim=True)
    return weight / total.masked_fill(total == 0, 1.0)


def _corrected(name: str, scores: torch.Tensor, log_q: Given, *shapes: Any) -> torch.Tensor:
    if log_q is None:
        return scores
    _check(name, log_q, *shapes)
    return scores - log_q.to(scores.dtype)


def _without(negative: torch.Tensor, accidental: Given, nothing: torch.Tensor) -> torch.Tensor:
    """Scores with those of accidental negatives, and of anchors without a target, out of every sum."""
    out = nothing[:, None]
    if accidental is not None:
        _check("accidental", accidental, negative.shape, mask=True)
        out = accidental | out
    # Not −∞: a whole row of it has no gradient under logsumexp.
    return negative.masked_fill(out, torch.finfo(negative.dtype).min / 2)


def _mean(each: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Mean over the anchors that have a target; 0 where none has."""
    return each.sum() / (share.sum(1) > 0).sum().clamp(min=1)


def _check(name: str, x: torch.Tensor, *shapes: Any, mask: bool = False) -> None:
    if x.shape not in shapes or (mask and x.dtype != torch.bool):
        shape = " or ".join(str(tuple(shape)) for shape in shapes)
        expected = f"{'bool' if mask else 'numbers'} of shape {shape}"
        raise InputError(expected, found=f"{x.dtype} {tuple(x.shape)}", where=name)


def _check_scores(name: str, x: torch.Tensor, rows: int | None = None) -> None:
    if x.ndim != 2 or not x.is_floating_point() or (rows is not None and len(x) != rows):
        expected = f"floats of shape ({'b' if rows is None else rows}, ·)"
        raise InputError(expected, found=f"{x.dtype} {tuple(x.shape)}", where=name)


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError("a number from 0 to 1", found=repr(share), where=name)
