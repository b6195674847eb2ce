"""The secret of a run's pseudonyms: from the environment alone, and checked against the warehouse before it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from graphrep.contracts.pseudonyms import is_pseudonym, pseudonym
from graphrep.pipeline.context import Run
from graphrep.store import pseudonyms as store


def secret_of(run: Run) -> str | None:
    """The secret, where the configuration asks for pseudonyms.

    Raises:
        InputError: there is none, or the warehouse was begun with another one, or otherwise.
    """
    settings = run.config.logs.pseudonyms
    secret = store.check_secret(os.environ.get(settings.key_env), settings.key_env) if settings else None
    store.begin(run.warehouse, secret, settings.columns if settings else ())
    return secret


def warehouse_keys(run: Run, keys: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Keys as the warehouse has them: where it has pseudonyms, those of the logs are replaced by theirs.

    Args:
        keys: node type → keys of the logs, or pseudonyms.

    Raises:
        InputError: as :func:`secret_of`.
    """
    settings, secret = run.config.logs.pseudonyms, secret_of(run)
    if settings is None or secret is None:
        return {node_type: list(own) for node_type, own in keys.items()}
    found = {}
    for node_type, own in keys.items():
        hidden = node_type in run.config.nodes and run.config.nodes[node_type].column in settings.columns
        named = {key if not hidden or is_pseudonym(key) else pseudonym(key, secret) for key in own}
        found[node_type] = sorted(named)
    return found
