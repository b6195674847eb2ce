"""Commands on the releases of a warehouse: what there is, what is inside, what changed, is it whole, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphrep.cli.gates import gate_lines
from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now, warehouse_of
from graphrep.cli.show import print_json, print_lines, print_table
from graphrep.errors import GraphrepError, InputError, StoreError

app = typer.Typer(help="The releases of a warehouse.", no_args_is_help=True)
ReleaseId = Annotated[str, typer.Argument(metavar="RELEASE")]


def _opened(config: Path, warehouse: Path | None) -> Path:
    place = warehouse_of(config, warehouse)
    if not place.is_dir():
        raise InputError("a warehouse", found="no directory", where=str(place))
    return place


@app.command("list", epilog="Example: graphrep releases list --warehouse demo/warehouse")
def list_(config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Every release, oldest first; the current one is marked, and a damaged one is told."""
    from graphrep.store import releases

    place = _opened(config, warehouse)
    pointer = releases.read_pointer(place)
    current = pointer.release_id if pointer else None
    found = releases.list_releases(place)
    if as_json:
        print_json({"current": current, "releases": found, "removed": releases.list_removed(place)})
        return
    print_table(["", "release", "space", "keys"], [["*" if r == current else "", r, *_about(place, r)] for r in found])


def _about(place: Path, release_id: str) -> list[str]:
    from graphrep.contracts import Manifest
    from graphrep.store import releases

    try:
        manifest = releases.read_manifest(place, release_id)
    except StoreError as error:
        return ["damaged", str(error)]
    types = manifest[Manifest.NODE_TYPES].items()
    return [manifest[Manifest.SPACE_ID], ", ".join(f"{entry['count']:,} {name}" for name, entry in types)]


@app.command(epilog="Example: graphrep releases show 2026-03-14.1 --warehouse demo/warehouse")
def show(release_id: ReleaseId, config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Print the manifest of a release and its gates, after comparing every file with it; --json prints all of it."""
    from graphrep.contracts import Manifest
    from graphrep.store import releases

    place = warehouse_of(config, warehouse)
    releases.verify_release(place, release_id)
    manifest = releases.read_manifest(place, release_id)
    if as_json:
        print_json(manifest)
    else:
        print_table(["key", "value"], [[key, _short(value)] for key, value in manifest.items()])
        print_lines(["", *gate_lines(manifest[Manifest.GATE])])


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) if all(isinstance(entry, str) for entry in value) else f"{len(value)} entries"
    if isinstance(value, dict):
        flat = all(not isinstance(entry, (dict, list)) for entry in value.values())
        named = ", ".join(f"{key} {entry}" for key, entry in value.items())
        return named if flat and len(named) <= 200 else f"{len(value)} entries: {', '.join(list(value)[:6])}"[:120]
    return "–" if value is None else str(value)


@app.command(epilog="Example: graphrep releases diff 2026-03-13.1 2026-03-14.1 --warehouse demo/warehouse")
def diff(
    before: Annotated[str, typer.Argument(metavar="A")],
    after: Annotated[str, typer.Argument(metavar="B")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """What changed from release A to B: keys by type, space, settings, code, and the vectors of common keys."""
    from graphrep.pipeline.compare import SAME, compare_releases

    found = compare_releases(warehouse_of(config, warehouse), before, after)
    if as_json:
        print_json(found)
        return
    print_lines([_changed(key, found["changed"].get(key)) for key in SAME])
    names = ["before", "after", "added", "vanished", "common"]
    rows = [
        [kind, *(f"{own[n]:,}" for n in names), _cosine(own["mean_cosine"])] for kind, own in found["types"].items()
    ]
    print_table(["type", *names, "mean cosine"], rows)


def _changed(key: str, pair: list[Any] | None) -> str:
    return f"{key}: {pair[0]} → {pair[1]}" if pair else f"{key}: the same"


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


@app.command(epilog="Example: graphrep releases rollback --warehouse demo/warehouse")
def rollback(
    release_id: Annotated[str | None, typer.Argument(metavar="[RELEASE]")] = None,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Point back at an earlier release; by default at the one before the current. A named one may be any."""
    from graphrep.store import releases

    place = warehouse_of(config, warehouse)
    pointer = releases.rollback(place, release_id, at=now())
    mirror = _mirror_of(config)
    mirrored = _send(place, mirror) if mirror else None
    if as_json:
        print_json({"current": pointer.release_id, "mirrored": mirrored})
    else:
        print_lines([f"current is {pointer.release_id}", *([f"current in {mirror} is {mirrored}"] if mirror else [])])


def _mirror_of(config: Path) -> str | None:
    from graphrep.config import load_config

    return load_config(config).publish.mirror if config.exists() else None


def _send(place: Path, url: str) -> str | None:
    from graphrep.store import mirror

    return mirror.send(place, url, at=now())


@app.command(epilog="Example: graphrep releases mirror --to s3://bucket/prefix --warehouse demo/warehouse")
def mirror(
    to: Annotated[str | None, typer.Option("--to", help="In place of publish.mirror: s3://…, or a directory.")] = None,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Let the mirror serve what the warehouse serves: send what it lacks, then move its pointer."""
    place, url = _opened(config, warehouse), to or _mirror_of(config)
    if not url:
        raise InputError("--to, or publish.mirror in the configuration", found="neither", where=str(config))
    current = _send(place, url)
    if as_json:
        print_json({"current": current, "mirror": url})
    else:
        print_lines([f"current in {url} is {current}" if current else "nothing is published yet"])


@app.command(epilog="Example: graphrep releases fetch s3://bucket/prefix --cache releases-here")
def fetch(
    url: Annotated[str, typer.Argument(metavar="URL", help="s3://bucket/prefix, or a directory.")],
    cache: Annotated[Path, typer.Option("--cache", help="Directory that a reader of this machine opens.")],
    release: Annotated[str | None, typer.Option("--release", help="Instead of the current one.")] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Newest releases that stay in the cache.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Bring the release that a mirror serves here, compared with its hashes; --warehouse CACHE then reads it."""
    from graphrep.store import mirror

    found = mirror.fetch(url, cache, release, keep=keep)
    if as_json:
        print_json({"release_id": found, "cache": str(cache)})
    else:
        print_lines([f"{found} is in {cache}"])


@app.command(
    epilog="Examples: graphrep releases verify --warehouse demo/warehouse; graphrep releases verify 2026-03-14.1"
)
def verify(
    release_id: Annotated[str | None, typer.Argument(metavar="[RELEASE]")] = None,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Compare every byte of a release with its manifest; without RELEASE of all of them, of the pointer and the log."""
    from graphrep.store import releases

    place = _opened(config, warehouse)
    rows, damaged = [], []
    if release_id is None:
        try:
            releases.verify_pointer(place)
        except GraphrepError as error:
            damaged.append({"release_id": releases.CURRENT, "error": str(error)})
    for name in [release_id] if release_id else releases.list_releases(place):
        try:
            rows.append({"release_id": name, "files": releases.verify_release(place, name)})
        except StoreError as error:
            damaged.append({"release_id": name, "error": str(error)})
    if as_json:
        print_json({"whole": rows, "damaged": damaged})
    else:
        lines = [[str(own["release_id"]), f"{own['files']} files are as published"] for own in rows]
        print_table(["release", ""], lines + [[own["release_id"], own["error"]] for own in damaged])
    if damaged:
        what = ", ".join(own["release_id"] for own in damaged)
        raise StoreError("releases as they were published", found=f"damage in {what}", where=str(place))
