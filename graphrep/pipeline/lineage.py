"""Where a day stands, in a few words: its run manifest, its verdict and its release; an asset event carries them."""

from __future__ import annotations

from pathlib import Path

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.store import files, releases, runlog


def lineage_of(warehouse: Path, ds: str) -> dict[str, str]:
    """What whoever is told of a day needs, to find what it was made from and how it was judged.

    Returns:
        ``ds``; ``run_manifest``, its absolute path, and ``run_manifest_sha256``, of its bytes now: a later stage adds
        to it. ``gate``, the colour of the verdict, where the day was judged. ``release_id`` and ``release_sha256``, of
        the release's manifest, where it was published and the release is still there.

    Raises:
        InputError: the day has no run manifest.
        StoreError: it cannot be read.
    """
    path = runlog.run_manifest_path(warehouse, ds)
    if not path.is_file():
        fix = f"run a stage of {ds} first"
        raise InputError(f"the run manifest of {ds}", found="none", where=str(path), fix=fix)
    stages = runlog.read_run(warehouse, ds)["stages"]
    found = {vocab.DS: ds, "run_manifest": str(path.absolute()), "run_manifest_sha256": files.sha256(path)}
    if judged := stages.get(vocab.EVALUATE):
        found["gate"] = judged["gate"]["colour"]
    if published := stages.get(vocab.PUBLISH):
        manifest = releases.release_path(warehouse, published["release_id"]) / releases.MANIFEST
        if manifest.is_file():  # else it was retired since
            found |= {"release_id": published["release_id"], "release_sha256": files.sha256(manifest)}
    return found
