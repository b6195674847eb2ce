"""Commands that read what was published: ``lookup``, ``neighbors``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, warehouse_of
from graphrep.cli.show import print_json, print_lines, print_table

if TYPE_CHECKING:
    from graphrep.lookup import Hit

app = typer.Typer()
_KEY_ENV = "Keys are ids of the logs; the environment variable of this name holds the secret of their pseudonyms."


@app.command(epilog="Example: graphrep lookup user u000001 u999999 --warehouse demo/warehouse")
def lookup(
    node_type: Annotated[str, typer.Argument(metavar="TYPE")],
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    release: Annotated[str | None, typer.Option("--release", help="Instead of the current one.")] = None,
    ds: Annotated[str | None, typer.Option("--ds", help="Day to ask for; vectors too old for it are told.")] = None,
    key_env: Annotated[str | None, typer.Option("--pseudonym-key-env", help=_KEY_ENV)] = None,
    as_json: AsJson = False,
) -> None:
    """Print the published vectors of some keys, as a ranker is given them; of a named release, as they lie there."""
    from graphrep.lookup import follow_releases, open_release

    place = warehouse_of(config, warehouse)
    opened = open_release(place, release) if release else follow_releases(place, warm=False, today=lambda: None)
    hit = opened.get(node_type, _published_keys(place, keys, key_env), ds=ds)
    if as_json:
        found = [
            {
                "key": key,
                "found": bool(hit.found[i]),
                "fallback": bool(hit.fallback[i]),
                "source": str(hit.source[i]),
                "expired": bool(hit.expired[i]),
                "denied": bool(hit.denied[i]),
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
            _made_of(hit, i),
            str(hit.age_days[i]),
            str(hit.degree[i]),
            _few(hit.vectors[i]),
        ]
        for i, key in enumerate(keys)
    ]
    print_table(["key", "found", "fallback", "source", "age_days", "degree", "vector"], rows)


def _made_of(hit: Hit, i: int) -> str:
    flags = [name for name, told in (("expired", hit.expired[i]), ("denied", hit.denied[i])) if told]
    return ", ".join([str(hit.source[i]), *flags])


def _published_keys(warehouse: Path, keys: list[str], key_env: str | None) -> list[str]:
    if key_env is None:
        return keys
    from graphrep.contracts.pseudonyms import is_pseudonym, pseudonym
    from graphrep.store import pseudonyms

    secret = pseudonyms.check_secret(os.environ.get(key_env), key_env)
    pseudonyms.check_reader(warehouse, secret)
    return [key if is_pseudonym(key) else pseudonym(key, secret) for key in keys]


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
    from graphrep.lookup import follow_releases

    opened = follow_releases(warehouse_of(config, warehouse), warm=False)
    found = opened.neighbors(node_type, key, to, k)
    if as_json:
        pairs = [{"key": n.key, "score": n.score} for n in found]
        print_json({"release_id": opened.release_id, "type": node_type, "key": key, "to": to, "neighbors": pairs})
    else:
        print_table([to, "score"], [[n.key, f"{n.score:.5f}"] for n in found])
