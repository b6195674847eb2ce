"""A basis that is changed on purpose: another name, another dimension; the old one's ranker reads on for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.lookup import Release, open_release
from graphrep.pipeline import judging, spaces
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.measure import Before, of_maps
from made_days import FIRST, SECOND, THIRD, Place, published


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The first day published in the space ``main``."""
    made = Place(tmp_path)
    published(made, FIRST)
    return made


def cosine(before: Release, now: Release, space_id: str) -> float:
    """Mean over users that have a vector of the walk's own in both."""
    keys = before.keys("user")
    old, new = before.get("user", keys), now.in_space(space_id).get("user", keys)
    own = (old.source == vocab.OWN) & (new.source == vocab.OWN)
    x, y = old.vectors[own], new.vectors[own]
    return float(((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)).mean())


def test_another_name_begins_a_space_that_the_old_ranker_reads_through_a_map(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = open_release(place.warehouse)
    place.configure()
    same = published(place, SECOND)
    assert same.space_id == old.space_id
    assert same.manifest[Manifest.MAPS] == {}
    place.configure(space="spring")
    new = published(place, SECOND)
    assert new.space_id != old.space_id
    assert (new.manifest[Manifest.PARENT], new.manifest[Manifest.ALIGNMENT]) == (None, None)
    told = new.manifest[Manifest.MAPS][old.space_id]
    assert told["until"] == "2026-03-10"
    assert 0 < told["held_out_residual"] < 1
    # The map does for the new space what turning does for one that goes on.
    assert cosine(old, new, old.space_id) > cosine(old, same, old.space_id) - 0.02

    later = published(place, THIRD)
    assert later.space_id == new.space_id
    assert later.manifest[Manifest.MAPS] == new.manifest[Manifest.MAPS]
    np.testing.assert_array_equal(later.in_space(old.space_id).back, new.in_space(old.space_id).back)
    assert [found.value for found in of_maps(new.manifest[Manifest.MAPS], Before(old))] == [told["held_out_residual"]]
    monkeypatch.setattr(judging, "traffic_of", lambda run, day: {})
    judged = judging.candidate(place.run(), SECOND, load_graph(place.run(), SECOND), {}, labelled=False)
    assert judged.fits == new.manifest[Manifest.MAPS]
    assert [found.value for found in of_maps(later.manifest[Manifest.MAPS], Before(new))] == [None]


def test_maps_are_joined_over_two_changes_and_dimensions(place: Place) -> None:
    old = open_release(place.warehouse)
    place.configure(space="spring")
    new = published(place, SECOND)
    place.configure(space="spring", dim=12)
    newer = published(place, THIRD)
    assert set(newer.manifest[Manifest.MAPS]) == {old.space_id, new.space_id}
    step, both = newer.in_space(new.space_id).back, newer.in_space(old.space_id).back
    assert step.shape == (12, 8)
    np.testing.assert_allclose(both, step @ new.in_space(old.space_id).back, atol=1e-6)
    first, second = (release.manifest[Manifest.MAPS] for release in (new, newer))
    together = first[old.space_id]["held_out_residual"] + second[new.space_id]["held_out_residual"]
    assert second[old.space_id]["held_out_residual"] == pytest.approx(together)
    assert [(found.scope, found.value) for found in of_maps(second, Before(new))] == [
        (space_id, second[space_id]["held_out_residual"]) for space_id in second
    ], "each is another map than the release before had"
    assert newer.in_space(old.space_id).get("user", ["nobody"]).vectors.shape == (1, 8)


def test_a_map_goes_after_its_days(place: Place) -> None:
    old = open_release(place.warehouse)
    place.configure(dual_days=1, space="spring")
    assert set(published(place, SECOND).manifest[Manifest.MAPS]) == {old.space_id}
    last = published(place, THIRD)
    assert last.manifest[Manifest.MAPS] == {}
    with pytest.raises(InputError, match="expected a space of"):
        last.in_space(old.space_id)


def test_anchors_have_edges_on_both_days_and_are_old_enough_where_there_are_such(place: Place) -> None:
    before = open_release(place.warehouse)

    def chosen(**anchors: int) -> dict[str, Any]:
        place.configure(anchors={"min_degree": 0, "min_age_days": 0, **anchors})
        run = place.run()
        found = spaces.anchors_in(run, SECOND, load_graph(run, SECOND), before)
        assert found is not None
        return {kind: x.any(axis=1) for kind, x in found.items()}

    day = load_graph(place.run(), SECOND)
    every, joined = chosen(), chosen(min_degree=6)
    for kind in before.types:
        nodes = day.nodes[kind]
        least = np.minimum(nodes.degree, before.get(kind, nodes.keys).degree)
        np.testing.assert_array_equal(joined[kind], every[kind] & (least >= 6))
    assert sum(x.sum() for x in joined.values()) < sum(x.sum() for x in every.values())
    young = spaces.first_younger(place.run(), FIRST)
    assert young["user"] < len(day.nodes["user"])
    for kind, own in chosen(min_degree=6, min_age_days=1).items():
        np.testing.assert_array_equal(own, joined[kind] & (day.nodes[kind].index < young[kind]))
    # Nobody is so old, nobody so busy: any age, then any degree.
    for kind in every:
        np.testing.assert_array_equal(chosen(min_degree=6, min_age_days=99)[kind], joined[kind])
        np.testing.assert_array_equal(chosen(min_degree=9999)[kind], every[kind])
