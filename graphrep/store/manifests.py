"""The bytes of a manifest: how they are written, and what is checked whenever they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from graphrep.contracts import SCHEMA_VERSION, Manifest
from graphrep.contracts.release import first_wrong_key
from graphrep.errors import StoreError
from graphrep.store import files, safe_paths


def parse(content: bytes, release_id: str, where: str) -> dict[str, Any]:
    """Check the bytes of a manifest: its version, every key, its own hash.

    Raises:
        StoreError: the message names the first wrong key.
    """
    try:
        manifest: dict[str, Any] = json.loads(content)
    except ValueError:
        manifest = {}
    version = manifest.get(Manifest.SCHEMA) if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise StoreError("the manifest of a release", found=f"{len(content)} other bytes", where=where)
    if version != SCHEMA_VERSION:
        newer = "install the graphrep that wrote it, or a newer one, or serve a release from before"
        fix = newer if version > SCHEMA_VERSION else "run the day again"
        raise StoreError(f"a manifest of version {SCHEMA_VERSION}", found=f"version {version}", where=where, fix=fix)
    if wrong := first_wrong_key(manifest):
        expected, found, key = wrong
        raise StoreError(expected, found=found, where=f"{where}: {key}")
    for name in manifest[Manifest.FILES]:
        safe_paths.check_name(name, where)
    if manifest[Manifest.RELEASE_ID] != release_id:
        raise StoreError(f"the manifest of {release_id}", found=f"that of {manifest[Manifest.RELEASE_ID]}", where=where)
    if encode({key: value for key, value in manifest.items() if key != Manifest.SHA256}) != content:
        raise StoreError("the manifest that was written", found="another", where=f"{where}: {Manifest.SHA256}")
    return manifest


def encode(body: Mapping[str, Any]) -> bytes:
    """A manifest with its own hash, as it is stored."""
    own = hashlib.sha256(files.json_bytes(body)).hexdigest()
    return files.json_bytes({**body, Manifest.SHA256: own})
