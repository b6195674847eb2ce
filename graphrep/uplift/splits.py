"""Folds that keep a host together and the future out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Ints = NDArray[np.int64]
Fold = tuple[Ints, Ints]


def host_folds(groups: ArrayLike, folds: int, seed: int = 0) -> list[Fold]:
    """Cross-fitting folds in which all rows of a group fall together, of nearly equal numbers of groups.

    Args:
        groups: (n,) keys of hosts or of agencies.
        folds: number of folds, at least 2.
        seed: of the order of the groups.

    Returns:
        For each fold the int64 indices of its (training, test) rows; every row is tested once.

    Raises:
        InputError: fewer groups than folds, or fewer than two folds.

    >>> [test.tolist() for _, test in host_folds(["a", "a", "b", "b"], 2)]
    [[0, 1], [2, 3]]
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(codes.max()) + 1 if len(codes) else 0
    if folds < 2 or count < folds:
        raise InputError("2 folds or more, and as many groups", found=f"{folds} folds, {count} groups", where="folds")
    of_group = np.empty(count, np.int64)
    of_group[np.random.default_rng(seed).permutation(count)] = np.arange(count) % folds
    of_row = of_group[codes]
    return [(np.flatnonzero(of_row != fold), np.flatnonzero(of_row == fold)) for fold in range(folds)]


def forward_folds(days: ArrayLike, blocks: int, block_days: int, gap: int) -> list[Fold]:
    """Purged forward blocks: train up to a day, leave out ``gap`` days, test on the next ``block_days``.

    An outcome of h days overlaps the h − 1 days after its own, so a gap of at least h days keeps outcomes of the
    training rows out of the test block. Blocks end on the last day and do not overlap.

    Args:
        days: (n,) int days.
        blocks: number of test blocks.
        block_days: days of a test block.
        gap: days between the last training day and the first test day that are in neither.

    Returns:
        (training, test) rows of each block, the earliest first; rows before the first block are never tested.

    Raises:
        InputError: too few days for the first block to have a row to train on.

    >>> [(train.tolist(), test.tolist()) for train, test in forward_folds(range(8), 2, 2, gap=1)]
    [([0, 1, 2], [4, 5]), ([0, 1, 2, 3, 4], [6, 7])]
    """
    numbers = np.asarray(days, dtype=np.int64)
    if min(blocks, block_days) < 1 or gap < 0 or not len(numbers):
        raise InputError("rows, a block of a day or more, a gap of 0 or more", found=f"{blocks, block_days, gap}")
    end = int(numbers.max()) + 1
    found = []
    for block in range(blocks, 0, -1):
        start = end - block * block_days
        train = np.flatnonzero(numbers < start - gap)
        test = np.flatnonzero((numbers >= start) & (numbers < start + block_days))
        if not len(train) or not len(test):
            raise InputError("rows to train and to test", found=f"none for the block from day {start}", where="days")
        found.append((train, test))
    return found


def given_folds(pairs: Iterable[Sequence[ArrayLike]], rows: int) -> list[Fold]:
    """Folds that the caller made, checked; a host may be on both sides, as in forward blocks.

    Args:
        pairs: (training, test) indices of each fold.
        rows: n.

    Raises:
        InputError: indices outside, a row on both sides of a fold, or a row tested twice.

    >>> [test.tolist() for _, test in given_folds([([0, 1], [2]), ([2], [0, 1])], 3)]
    [[2], [0, 1]]
    """
    found = [(np.asarray(train, np.int64), np.asarray(test, np.int64)) for train, test in pairs]
    if not found:
        raise InputError("at least one fold", found="none", where="folds")
    tested = np.concatenate([test for _, test in found])
    every = np.concatenate([tested, *(train for train, _ in found)])
    if len(every) and (every.min() < 0 or every.max() >= rows):
        raise InputError(f"rows 0 to {rows - 1}", found=f"{every.min()} to {every.max()}", where="folds")
    if len(np.unique(tested)) < len(tested):
        raise InputError("each row tested once at most", found="a row in two test parts", where="folds")
    for number, (train, test) in enumerate(found):
        shared = np.intersect1d(train, test)
        if len(shared):
            raise InputError("rows on one side only", found=f"{len(shared)} on both", where=f"fold {number}")
    return found
