"""A release's vectors as a layer of a torch model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from graphrep.lookup.reader import Release

RowsOf = Callable[[Sequence[str]], Tensor]


def embedding_layer(
    release: Release, node_type: str, *, freeze: bool = True, device: torch.device | str | None = None
) -> tuple[nn.Embedding, RowsOf]:
    """All vectors of a type, and what turns keys into their rows.

    Args:
        freeze: False lets training change the vectors.

    Returns:
        A layer of n + 1 rows, the last of which is the type's prior; and a function: (m,) keys → (m,) int64 tensor of
        rows on the CPU, the last row for a key that the release lacks.

    Raises:
        InputError: the release has no such type.
    """
    table = release.table(node_type)
    count = len(table.keys)
    weight = torch.from_numpy(np.concatenate([*release.blocks(node_type), table.prior[None]]))
    layer = nn.Embedding.from_pretrained(weight.to(device), freeze=freeze)

    def rows_of(keys: Sequence[str]) -> Tensor:
        rows = table.keys.rows(keys)
        return torch.from_numpy(np.where(rows >= 0, rows, count))

    return layer, rows_of
