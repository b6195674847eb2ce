"""Contracts are whole, frozen in ``tests/golden/contracts.json``, and refuse a table that breaks them.

A change of a contract is meant to be seen. After one, write the golden file again and read its diff::

    .venv/bin/python tests/unit/contracts/test_contracts.py
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from graphrep import contracts
from graphrep.contracts import ADJACENCY, CONTRACTS, EDGE, EMBEDDING, LOG_EVENT, QUARANTINE, Contract, check_table
from graphrep.errors import InputError

GOLDEN = Path(__file__).parents[2] / "golden" / "contracts.json"
AGAIN = "a contract changed: see the top of this file"

ROWS: dict[str, list[dict[str, Any]]] = {
    ADJACENCY.name: [{"src": 0, "dst": n, "weight": 0.5, "time": 1} for n in range(3)],
    EMBEDDING.name: [
        {"ds": "2026-03-01", "node_type": "user", "key": k, "vector": [1.0, 2.0], "degree": 1, "last_ds": "2026-03-01"}
        for k in ("a", "", "é")
    ],
}


def frozen() -> str:
    content = {name: dataclasses.asdict(contract) for name, contract in CONTRACTS.items()}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def table(contract: Contract) -> pa.Table:
    return pa.Table.from_pylist(ROWS[contract.name], schema=contract.schema)


def test_contracts_are_what_was_frozen() -> None:
    golden, now = json.loads(GOLDEN.read_text(encoding="utf-8")), json.loads(frozen())
    assert list(now) == list(golden), AGAIN
    for name in golden:
        assert now[name] == golden[name], AGAIN


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_contract_says_all_that_a_reader_needs(contract: Contract) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*_v[1-9]\d*", contract.name)
    assert contract.owner
    assert contract.meaning
    assert contract.columns
    assert len(set(contract.names)) == len(contract.names)
    assert all(column.meaning for column in contract.columns)
    own = {column.name: column for column in contract.columns}
    assert set(contract.grain) <= set(own)
    assert not any(own[name].nullable for name in contract.grain), "what identifies a row is always there"


def test_names_are_spelt_once_and_for_every_column() -> None:
    spelt = [
        {value for name, value in vars(kind).items() if name.isupper()}
        for kind in vars(contracts).values()
        if isinstance(kind, type) and kind not in (contracts.Column, Contract)
    ]
    for contract in CONTRACTS.values():
        assert set(contract.names) in spelt, f"no class spells the columns of {contract.name}"
    assert len(spelt) == len(CONTRACTS)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_contract_is_an_arrow_schema_in_its_order(contract: Contract) -> None:
    schema = contract.schema
    assert schema.names == contract.names
    assert [field.nullable for field in schema] == [column.nullable for column in contract.columns]
    check_table(schema.empty_table(), contract)


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EDGE.name = "edge_v2"


@pytest.mark.parametrize("contract", [ADJACENCY, EMBEDDING], ids=lambda c: c.name)
def test_a_table_that_keeps_the_contract_passes(contract: Contract) -> None:
    check_table(table(contract), contract)


@pytest.mark.parametrize("names", [["dst", "src", "weight", "time"], ["src", "dst", "weight"]])
def test_other_columns_or_another_order_are_refused(names: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"columns \['src', 'dst', 'weight', 'time'\], found .* \[table adjacency_v1\]"
    ):
        check_table(table(ADJACENCY).select(names), ADJACENCY)


def test_a_column_too_many_is_refused() -> None:
    more = table(ADJACENCY).append_column("more", pa.array([1, 2, 3]))
    with pytest.raises(InputError, match=r"found .*'more'"):
        check_table(more, ADJACENCY)


@pytest.mark.parametrize(
    ("contract", "name", "values"),
    [
        (ADJACENCY, "weight", pa.array([1.0, 2.0, 3.0], pa.float64())),
        (ADJACENCY, "src", pa.array([0, 0, 0], pa.int32())),
        (EMBEDDING, "key", pa.array(["a", "b", "c"], pa.large_string())),
        (EMBEDDING, "vector", pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float64()))),
    ],
    ids=["float64", "int32", "large_string", "list of float64"],
)
def test_another_type_is_refused(contract: Contract, name: str, values: pa.Array) -> None:
    whole = table(contract)
    other = whole.set_column(whole.column_names.index(name), name, values)
    declared = {column.name: column.type for column in contract.columns}[name]
    with pytest.raises(InputError, match=rf"{name} as {declared}, found "):
        check_table(other, contract)


def test_a_null_is_refused_where_it_may_not_be_and_only_there() -> None:
    whole = table(ADJACENCY)
    holed = whole.set_column(2, "weight", pa.array([None, 1.0, None], pa.float32()))
    with pytest.raises(InputError, match="no null in weight, found 2 nulls"):
        check_table(holed, ADJACENCY)
    event = {"event_id": "e", "ts": 1, "ds": "d", "domain": "live", "user_id": "u", "action": "watch"}
    check_table(pa.Table.from_pylist([event], schema=LOG_EVENT.schema), LOG_EVENT)


def test_a_repeated_row_is_refused_where_the_grain_says_so() -> None:
    whole = table(ADJACENCY)
    twice = pa.concat_tables([whole, whole.slice(0, 2)])
    with pytest.raises(InputError, match=r"one row per \('src', 'dst'\), found 2 repeated rows"):
        check_table(twice, ADJACENCY)
    refused = {"ds": "2026-03-01", "source_table": "live", "reason": "r", "row": "{}"}
    check_table(pa.Table.from_pylist([refused, refused], schema=QUARANTINE.schema), QUARANTINE)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(frozen(), encoding="utf-8")
