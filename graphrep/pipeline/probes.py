"""The frozen probe: a small ranker learnt once on a space's first vectors, asked every day if it still reads them.

``probes/<space_id>/<target>.npy`` holds the weights of each target's probe, the bias last. It holds no keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graphrep.evaluate import drift
from graphrep.evaluate.gates import Measurement
from graphrep.evaluate.probe import Probe, auc, fit_probe
from graphrep.evaluate.quality import Question
from graphrep.store import tables

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Two = tuple[Floats, Floats]

GATE = "probe_auc_drop"
PROBES = "probes"
MOST_PAIRS = 5000
LEAST_PAIRS = 20


@dataclass(frozen=True)
class Pairs:
    """Who met what on the newest day, and beside each a seeded random candidate for the same user.

    Attributes:
        left, met, other: (n,) rows of users, of what they met, and of the random candidates.
    """

    left: Ints
    met: Ints
    other: Ints

    @classmethod
    def of(cls, question: Question, candidates: int, *, seed: int) -> Pairs:
        """The pairs of a question; what it knows of no row is left out."""
        found = [
            (user, thing)
            for user, met in zip(question.users.tolist(), question.relevant, strict=True)
            for thing in met
            if thing < candidates
        ]
        pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
        pairs = pairs[drift.evenly(np.arange(len(pairs)), MOST_PAIRS)]
        other = np.random.default_rng(seed).integers(0, max(candidates, 1), len(pairs))
        return cls(pairs[:, 0], pairs[:, 1], other)

    @property
    def enough(self) -> bool:
        """Whether a probe can be learnt from them."""
        return len(self.left) >= LEAST_PAIRS

    def within(self, left: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]) -> Pairs:
        """The pairs all of whose rows are among those given."""
        kept = left[self.left] & right[self.met] & right[self.other]
        return Pairs(self.left[kept], self.met[kept], self.other[kept])

    def scores(self, probe: Probe, left: Floats, right: Floats) -> tuple[Doubles, Doubles]:
        """(n,) of what was met and (n,) of the random candidates; a number that is not finite counts as 0."""
        users, things = np.nan_to_num(left, posinf=0, neginf=0), np.nan_to_num(right, posinf=0, neginf=0)
        return probe.scores(users[self.left], things[self.met]), probe.scores(users[self.left], things[self.other])


def fitted(pairs: Pairs, left: Floats, right: Floats) -> Probe:
    """A probe of these vectors."""
    users = np.concatenate([left[pairs.left]] * 2)
    things = np.concatenate([right[pairs.met], right[pairs.other]])
    return fit_probe(users, things, np.repeat([1, 0], len(pairs.left)))


def drop_of(target: str, probe: Probe, pairs: Pairs, now: Two, then: Two) -> Measurement:
    """By how much the probe's AUC falls from the vectors before to today's, on the same pairs, with its interval."""
    n = len(pairs.left)
    was, today = _shares(*pairs.scores(probe, *then)), _shares(*pairs.scores(probe, *now))
    fall = was - today
    interval = drift.bootstrap(lambda rows: float(fall[rows].mean()), n, seed=0)
    note = f"{was.mean():.4f} to {today.mean():.4f}"
    return Measurement(GATE, target, float(fall.mean()), rows=n, interval=interval, note=note)


def _shares(met: Doubles, other: Doubles) -> Doubles:
    """(n,) what each pair contributes to the AUC, to the first order; their mean is the AUC.

    The share of others below what was met, plus the share of what was met above the other, less the AUC (the
    placements of DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988): so a draw of pairs costs a mean.
    """
    area = auc(np.repeat([1, 0], len(met)), np.concatenate([met, other]))
    return _below(other, met) + 1 - _below(met, other) - area


def _below(values: Doubles, marks: Doubles) -> Doubles:
    """Share of the values below each mark; equal ones count one half."""
    ordered = np.sort(values)
    places = np.searchsorted(ordered, marks, "left") + np.searchsorted(ordered, marks, "right")
    return np.asarray(places / (2 * len(values)))


def keep(warehouse: Path, space_id: str, probes: Mapping[str, Probe]) -> None:
    """Keep the probes of a space, in place of those that were there."""
    arrays = {target: np.append(probe.weights, probe.bias) for target, probe in probes.items()}
    tables.write_arrays(warehouse / PROBES / space_id, arrays)


def kept(warehouse: Path, space_id: str) -> dict[str, Probe]:
    """The probes of a space, by target; none where none were kept."""
    path = warehouse / PROBES / space_id
    if not path.is_dir():
        return {}
    read = {target: array.view(np.float64) for target, array in tables.read_arrays(path).items()}
    return {target: Probe(array[:-1], float(array[-1])) for target, array in read.items()}
