"""A type's vectors as a layer: the rows of a lookup, and the prior for whom the release does not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from graphrep.errors import InputError
from graphrep.lookup import open_release
from graphrep.lookup.torch import embedding_layer
from published_rows import publish_rows


def test_the_layer_gives_what_a_lookup_gives(tmp_path: Path) -> None:
    rows = {f"u{i}": np.random.default_rng(i).normal(size=8) for i in range(40)}
    publish_rows(tmp_path, "2026-03-01", {"user": rows})
    release = open_release(tmp_path)
    layer, rows_of = embedding_layer(release, "user")
    keys = ["u3", "nobody", "u39", "", "u3"]
    assert rows_of(keys).dtype == torch.int64
    assert rows_of(keys).tolist()[1] == len(rows)
    np.testing.assert_array_equal(layer(rows_of(keys)).numpy(), release.get("user", keys).vectors)
    assert layer.weight.shape == (41, 8)
    assert not layer.weight.requires_grad
    assert embedding_layer(release, "user", freeze=False)[0].weight.requires_grad
    with pytest.raises(InputError, match="one of the types"):
        embedding_layer(release, "room")
