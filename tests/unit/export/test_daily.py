"""Each release goes wherever the settings say, and nowhere where they say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conftest import Place
from graphrep.cli import app
from graphrep.pipeline.export import export_daily

DAY = "2026-03-01"


def test_a_release_goes_wherever_the_settings_say(
    still_place: Place, publish_vectors: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"index": str(still_place.root / "index"), "feast": str(still_place.root / "feast")}
    still_place.configure(lambda settings: settings.update(export={"daily": places}))
    assert export_daily(still_place.run()) == {}, "nothing is published yet"
    rng = np.random.default_rng(0)
    own = {kind: {f"{kind}-{i}": rng.normal(size=3).tolist() for i in range(30)} for kind in ("host", "user")}
    publish_vectors(still_place.warehouse, DAY, own)
    still_place.configure()
    assert export_daily(still_place.run()) == {}, "as shipped"
    still_place.configure(lambda settings: settings.update(export={"daily": places}))
    words = ["export", "daily", "--config", str(still_place.config), "--warehouse", str(still_place.warehouse)]
    app(words, standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-2:] == [f"index has {DAY}.1", f"feast has {DAY}.1"]
    assert (still_place.root / "index" / f"{DAY}.1" / "manifest.json").is_file()
    assert (still_place.root / "feast" / "releases" / f"{DAY}.1" / "user.parquet").is_file()
