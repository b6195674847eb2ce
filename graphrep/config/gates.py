"""Limits of what may be published; which gates there are, and why so, stands in ``configs/gates.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from graphrep.config.strict import Name, Strict

Limit = Annotated[float, Field(allow_inf_nan=False)]

_SIDES = (("green_min", "amber_min", -1), ("green_max", "amber_max", 1))


class Limits(Strict):
    """Green within green_min and green_max, amber beyond as far as amber_min and amber_max, red beyond these."""

    green_min: Limit | None = None
    green_max: Limit | None = None
    amber_min: Limit | None = None
    amber_max: Limit | None = None
    min_rows: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _amber_lies_outside_green(self) -> Self:
        for inner, outer, sign in _SIDES:
            green, amber = getattr(self, inner), getattr(self, outer)
            if amber is not None and (green is None or (amber - green) * sign < 0):
                raise ValueError(f"expected {outer} at or beyond {inner}, found {outer} {amber:g} and {inner} {green}")
        return self


class Gate(Limits):
    """One gate; ``types`` has what is otherwise for a node type or for a target."""

    meaning: str
    types: dict[Name, Limits]

    @model_validator(mode="before")
    @classmethod
    def _types_begin_as_the_gate(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("types"), dict):
            return given
        own = {name: value for name, value in given.items() if name in Limits.model_fields}
        types = given["types"].items()
        return {**given, "types": {t: {**own, **entry} if isinstance(entry, dict) else entry for t, entry in types}}

    def of(self, scope: str) -> Limits:
        """The limits for a scope; of a part of one (``user/low``), those of the whole."""
        return self.types.get(scope.partition("/")[0], self)
