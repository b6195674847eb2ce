"""Settings of the go-live uplift: which events authorise, treat and tell of sessions, and what an arm costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from graphrep.config.strict import Name, Strict
from graphrep.contracts.uplift import CONTROL, COVARIATES

if TYPE_CHECKING:
    from graphrep.config.model import Surface


class Events(Strict):
    """Events of one surface by what was done."""

    domain: str
    actions: tuple[str, ...] = Field(min_length=1)


class Arm(Strict):
    """A nudge that a host can get.

    Attributes:
        cost: of one nudge, in the unit of the budget.
        cap: share of the day's hosts that may get it at most.
    """

    cost: float = Field(ge=0)
    cap: float = Field(gt=0, le=1)


class Nudges(Strict):
    """Treatment by nudge: one event with the arm in ``item_id`` for each nudge, and for each chance of an arm."""

    domain: str
    given: str
    policy: str | None
    lot: str | None
    delivered: str | None
    arms: dict[Name, Arm] = Field(min_length=1)

    @field_validator("arms")
    @classmethod
    def _control_is_none(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        if CONTROL in arms:
            raise ValueError(f"expected arms beside {CONTROL}, which is the control")
        return arms


class Exposure(Strict):
    """Treatment by live impressions that were served to the host as a viewer, before an hour of the day."""

    domain: str
    actions: tuple[str, ...] = Field(min_length=1)
    until_hour: int = Field(ge=1, le=23)
    steps: dict[Name, int] = Field(min_length=1)
    lot: str | None

    @field_validator("steps")
    @classmethod
    def _steps_rise(cls, steps: dict[str, int]) -> dict[str, int]:
        least = list(steps.values())
        if CONTROL in steps or least[0] < 1 or least != sorted(set(least)):
            raise ValueError(
                f"expected numbers of impressions that rise from 1 or more, beside {CONTROL}, found {steps}"
            )
        return steps


class Fit(Strict):
    """How effects are fitted and judged, and how long they hold.

    Attributes:
        outcomes: what is counted: whether a session began, or the minutes of hosting.
        min_arm_rows, min_arm_positive: mature rows of an arm, and those of them with an outcome above 0, under which
            the arm is left out.
        folds, halves: of hosts; see ``UpliftLearner``.
        placebos: refits with permuted arms.
        valid_days: days for which scores may be used, their own among them; an arm that is held back is served those of
            a day before for as long.
        limits: name of a gate's limit → another value; ``graphrep.uplift.gates.LIMITS`` has the names.
        segments: columns of the panel by which the report tells who gains and who loses.
    """

    outcomes: tuple[Literal["live", "minutes"], ...] = Field(min_length=1)
    min_arm_rows: int = Field(ge=50)
    min_arm_positive: int = Field(ge=1)
    folds: int = Field(ge=2)
    halves: int = Field(ge=2)
    placebos: int = Field(ge=2)
    valid_days: int = Field(ge=1)
    limits: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    segments: tuple[str, ...]

    @field_validator("segments")
    @classmethod
    def _segments_are_covariates(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        for name in segments:
            if name not in COVARIATES:
                raise ValueError(f"expected covariates of the panel, {', '.join(COVARIATES)}, found {name!r}")
        return segments


class Uplift(Strict):
    """What the panel of hosts and days is made of; None where the logs have no such events."""

    enabled: bool
    days: int = Field(ge=1)
    authorised_days: int = Field(ge=1)
    horizons: tuple[Literal[1, 7], ...] = Field(min_length=1)
    authorised: Events | None
    revoked: Events | None
    starts: Events | None
    ends: Events | None
    nudges: Nudges | None
    exposure: Exposure | None
    fit: Fit

    @model_validator(mode="after")
    def _arms_are_told_apart(self) -> Self:
        nudges = set(self.nudges.arms) if self.nudges else set()
        if both := sorted(nudges & set(self.exposure.steps if self.exposure else ())):
            raise ValueError(f"expected other names for steps of exposure than for nudges, found {both[0]!r} in both")
        return self

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if not self.enabled:
            return self
        for name in ("authorised", "starts"):
            if getattr(self, name) is None:
                raise ValueError(f"enabled without {name}: expected a surface and its actions")
        if self.nudges is None and self.exposure is None:
            raise ValueError("enabled without nudges and exposure: expected one of them")
        return self

    def named(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """What the settings name of the surfaces: where, which surface, which actions."""
        for name in ("authorised", "revoked", "starts", "ends", "exposure"):
            events = getattr(self, name)
            if events is not None:
                lot = (events.lot,) if isinstance(events, Exposure) and events.lot else ()
                yield name, events.domain, (*events.actions, *lot)
        if (n := self.nudges) is not None:
            actions = tuple(action for action in (n.given, n.policy, n.lot, n.delivered) if action is not None)
            yield "nudges", n.domain, actions


def check_surfaces(uplift: Uplift, surfaces: Mapping[str, Surface]) -> None:
    """Refuse a surface or an action that is not declared.

    Raises:
        ValueError: naming the first.
    """
    for name, domain, actions in uplift.named():
        _declared([domain], surfaces, f"uplift.{name}.domain", "a surface under surfaces:")
        known = surfaces[domain].actions
        _declared(actions, known, f"uplift.{name}", f"an action of surfaces.{domain}")


def _declared(names: Any, known: Any, where: str, what: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: expected {what} {sorted(known)}, found {name!r}")
