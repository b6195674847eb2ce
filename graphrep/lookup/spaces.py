"""A release read by a ranker of another space than its own, through the map that it holds for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from graphrep.lookup.reader import Hit, Release


def map_name(space_id: str) -> str:
    """Name of the array in a release that leads from its space to another."""
    return f"into.{space_id}"


@dataclass(frozen=True)
class InSpace:
    """A release whose vectors are given as if they were of another space.

    Attributes:
        release: it.
        space_id: of the vectors that :meth:`get` gives.
        back: (d, d of that space) float32, what they are multiplied with; None: the release is of that space itself.
    """

    release: Release
    space_id: str
    back: npt.NDArray[np.float32] | None

    def get(self, node_type: str, keys: Sequence[str], *, ds: str | None = None) -> Hit:
        """As :meth:`Release.get`, the vectors (n, d of the space).

        Raises:
            InputError: as there.
        """
        hit = self.release.get(node_type, keys, ds=ds)
        return hit if self.back is None else replace(hit, vectors=hit.vectors @ self.back)
