"""What a table promises: its columns with types and units, its grain, and who answers for it.

Pure data: pyarrow is imported only when a schema is asked for, so that a ranker's reader need not have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphrep.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

Type = Literal["string", "int32", "int64", "float32", "float64", "list<float32>"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``unit`` is a physical unit or a format, ``nullable`` whether a value may be missing."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Contract:
    """A table as data. ``grain`` names the columns that identify a row; the version is in ``name``."""

    name: str
    grain: tuple[str, ...]
    owner: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([pa.field(c.name, _arrow_type(c.type), nullable=c.nullable) for c in self.columns])


def _arrow_type(name: Type) -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.float32()) if name == "list<float32>" else pa.type_for_alias(name)


def check_table(table: pa.Table, contract: Contract) -> None:
    """Refuse a table whose columns, types, nulls or grain break the contract.

    Raises:
        InputError: naming the contract, the column and what was found.
    """
    where = f"table {contract.name}"
    if table.column_names != contract.names:
        raise InputError(f"columns {contract.names}", found=str(table.column_names), where=where)
    for column in contract.columns:
        found = table.schema.field(column.name).type
        if found != _arrow_type(column.type):
            raise InputError(f"{column.name} as {column.type}", found=str(found), where=where)
        nulls = table[column.name].null_count
        if nulls and not column.nullable:
            raise InputError(f"no null in {column.name}", found=f"{nulls} nulls", where=where)
    if contract.grain:
        grain = list(contract.grain)
        distinct = table.select(grain).group_by(grain).aggregate([]).num_rows
        if distinct != table.num_rows:
            found = f"{table.num_rows - distinct} repeated rows"
            raise InputError(f"one row per {contract.grain}", found=found, where=where)
