"""Commands that read what was published: ``lookup``, ``neighbors``, ``releases``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now
from graphrep.cli.show import print_json, print_lines, print_table
from graphrep.errors import InputError

app = typer.Typer()
releases_app = typer.Typer(help="The releases of a warehouse.", no_args_is_help=True)


def _warehouse(config: Path, warehouse: Path | None) -> Path:
    if warehouse is not None:
        return warehouse
    from graphrep.config import load_config

    return load_config(config).warehouse


@app.command(epilog="Example: graphrep lookup user u000001 u999999 --warehouse demo/warehouse")
def lookup(
    node_type: Annotated[str, typer.Argument(metavar="TYPE")],
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    release: Annotated[str | None, typer.Option("--release", help="Instead of the current one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the published vectors of some keys."""
    from graphrep.lookup import open_release

    opened = open_release(_warehouse(config, warehouse), release)
    hit = opened.get(node_type, keys)
    if as_json:
        found = [
            {
                "key": key,
                "found": bool(hit.found[i]),
                "fallback": bool(hit.fallback[i]),
                "source": str(hit.source[i]),
                "age_days": int(hit.age_days[i]),
                "degree": int(hit.degree[i]),
                "vector": [float(x) for x in hit.vectors[i]],
            }
            for i, key in enumerate(keys)
        ]
        print_json({"release_id": opened.release_id, "space_id": opened.space_id, "type": node_type, "keys": found})
        return
    print_lines([f"release {opened.release_id}, space {opened.space_id}"])
    rows = [
        [
            key,
            _yes(hit.found[i]),
            _yes(hit.fallback[i]),
            str(hit.source[i]),
            str(hit.age_days[i]),
            str(hit.degree[i]),
            _few(hit.vectors[i]),
        ]
        for i, key in enumerate(keys)
    ]
    print_table(["key", "found", "fallback", "source", "age_days", "degree", "vector"], rows)


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _few(vector: Any) -> str:
    return " ".join(f"{x:+.3f}" for x in vector[:4]) + (" …" if len(vector) > 4 else "")


@app.command(epilog="Example: graphrep neighbors user u000001 --to host -k 5 --warehouse demo/warehouse")
def neighbors(
    node_type: Annotated[str, typer.Argument(metavar="TYPE")],
    key: Annotated[str, typer.Argument(metavar="KEY")],
    to: Annotated[str, typer.Option("--to", help="Node type of the neighbours.")],
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Print the keys of a type with the largest dot product."""
    from graphrep.lookup import open_release

    opened = open_release(_warehouse(config, warehouse))
    found = opened.neighbors(node_type, key, to, k)
    if as_json:
        pairs = [{"key": n.key, "score": n.score} for n in found]
        print_json({"release_id": opened.release_id, "type": node_type, "key": key, "to": to, "neighbors": pairs})
    else:
        print_table([to, "score"], [[n.key, f"{n.score:.5f}"] for n in found])


@releases_app.command("list", epilog="Example: graphrep releases list --warehouse demo/warehouse")
def releases_list(config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Every release, oldest first; the current one is marked."""
    from graphrep.contracts import Manifest
    from graphrep.store import releases

    place = _warehouse(config, warehouse)
    if not place.is_dir():
        raise InputError("a warehouse", found="no directory", where=str(place))
    pointer = releases.read_pointer(place)
    current = pointer.release_id if pointer else None
    found = [releases.read_manifest(place, release_id) for release_id in releases.list_releases(place)]
    if as_json:
        print_json({"current": current, "releases": [m[Manifest.RELEASE_ID] for m in found]})
        return
    rows = [
        [
            "*" if m[Manifest.RELEASE_ID] == current else "",
            m[Manifest.RELEASE_ID],
            m[Manifest.SPACE_ID],
            ", ".join(f"{entry['count']:,} {name}" for name, entry in m[Manifest.NODE_TYPES].items()),
        ]
        for m in found
    ]
    print_table(["", "release", "space", "keys"], rows)


@releases_app.command("show", epilog="Example: graphrep releases show 2026-03-14.1 --warehouse demo/warehouse")
def releases_show(
    release_id: Annotated[str, typer.Argument(metavar="RELEASE")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
) -> None:
    """Print the manifest of a release, a JSON object, after comparing every file with it."""
    from graphrep.store import releases

    place = _warehouse(config, warehouse)
    releases.verify_release(place, release_id)
    print_json(releases.read_manifest(place, release_id))


@releases_app.command("rollback", epilog="Example: graphrep releases rollback --warehouse demo/warehouse")
def releases_rollback(
    release_id: Annotated[str | None, typer.Argument(metavar="[RELEASE]")] = None,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Point back at an earlier release; by default at the one before the current."""
    from graphrep.store import releases

    pointer = releases.rollback(_warehouse(config, warehouse), release_id, at=now())
    if as_json:
        print_json({"current": pointer.release_id})
    else:
        print_lines([f"current is {pointer.release_id}"])
