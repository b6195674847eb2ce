"""Stage ``embed`` in several processes, as torchrun and TorchDistributor start them: all fit, the first writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from graphrep import vocab
from graphrep.errors import InputError


def place() -> tuple[int, int]:
    """Rank of this process, and how many there are; (0, 1) for one alone."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1  # without a look into torch, which takes seconds to import
    from graphrep.embed.ranks import place_in

    return place_in(os.environ)


def is_first() -> bool:
    return place()[0] == 0


def check_stage(stage: str) -> None:
    """
    Raises:
        InputError: several processes, and a stage that each would write.
    """
    count = place()[1]
    if count > 1 and stage != vocab.EMBED:
        fix = f"run graphrep {stage} without torchrun"
        raise InputError(f"stage {vocab.EMBED} alone in several processes", found=stage, fix=fix)


@contextmanager
def together(device: str | None) -> Iterator[None]:
    """Join the others, if there are any; see ``graphrep.embed.ranks.joined``."""
    if place()[1] == 1:
        yield
        return
    from graphrep.embed.ranks import joined

    with joined(device):
        yield
