"""The knobs of generated go-live panels, each off as it comes, and named settings of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from graphrep.errors import InputError

EFFECTS: Final = ("zero", "constant", "observed", "latent", "fatigue")
ASSIGNMENTS: Final = ("random", "logistic", "threshold")


@dataclass(frozen=True)
class GoLiveSpec:
    """What a panel of hosts and days is made of. Probabilities are per host-day unless a line says otherwise.

    Attributes:
        hosts: number of hosts.
        days: number of days in the panel; 14 more run before it, so that histories exist.
        seed: of everything that is drawn.
        dim: dimensions of the embeddings.
        base: chance of going live of the average host without a nudge, at weekday mean.
        effects: one word for each arm after the control: "zero", "constant" (all hosts gain ``size``), "observed"
            (depends on an attribute), "latent" (on a trait that only the graph shows), "fatigue" (falls, below 0 in
            the end, with nudges received lately).
        size: average effect of an arm, in probability.
        spread: how far effects differ between hosts, in probability; for "observed" and "latent".
        traits: 1. strength with which traits that the graph shows drive both assignment and outcome.
        unseen: 1. strength of a confounder that nothing shows (gamma).
        assignment: 3. "random", "logistic" in what the policy knows, or "threshold": by a rule, so that overlap fails.
        randomised: 3. share of hosts whose arm is drawn by lot with logged chances.
        policy_change: 3. day from which the policy nudges by the opposite sign of activity; −1 for never.
        logged: 3. whether the policy's propensities are in the log.
        exposure: 4. effect of a step of served live exposure on the chance of going live that day.
        reverse_cause: 4. how much planning to host raises watching and, by itself, going live.
        boosted: 4. share of host-days with an exposure boost that was drawn by lot.
        trend: 5. change of the chance by day, in logits.
        carry_over: 6. share of an effect that is left on the next day.
        spillover: 7. loss of chance if all hosts of the agency are nudged.
        late: 8. share of outcomes that arrive late by up to 3 days.
        lost: 9. share of nudges missing from the log.
        repeated: 9. share of host-days that come twice.
        undelivered: 9. share of nudges that were assigned and not delivered.
        rotation: 10. whether the axes of the embeddings turn from day to day.
        drift: 10. share by which effects fall until the last day.
        new: 11. share of hosts that join during the panel.
        label_delay: 12. days by which all outcomes arrive late.
        week_draws: draws for the truth of the 7-day effects; 0 leaves it out.
    """

    hosts: int = 3000
    days: int = 14
    seed: int = 0
    dim: int = 16
    base: float = 0.2
    effects: tuple[str, ...] = ("constant",)
    size: float = 0.06
    spread: float = 0.06
    traits: float = 0.0
    unseen: float = 0.0
    assignment: str = "random"
    randomised: float = 0.0
    policy_change: int = -1
    logged: bool = False
    exposure: float = 0.0
    reverse_cause: float = 0.0
    boosted: float = 0.0
    trend: float = 0.0
    carry_over: float = 0.0
    spillover: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    undelivered: float = 0.0
    rotation: bool = False
    drift: float = 0.0
    new: float = 0.0
    label_delay: int = 0
    week_draws: int = 0

    def __post_init__(self) -> None:
        for word in self.effects:
            if word not in EFFECTS:
                raise InputError(f"effects among {', '.join(EFFECTS)}", found=repr(word), where="effects")
        if not self.effects or self.assignment not in ASSIGNMENTS:
            found = f"{self.effects}, {self.assignment!r}"
            raise InputError(f"an arm, and an assignment among {', '.join(ASSIGNMENTS)}", found=found)
        shares = ("randomised", "boosted", "carry_over", "late", "lost", "repeated", "undelivered", "drift", "new")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in shares and not 0 <= value <= 1:
                raise InputError("a share from 0 to 1", found=f"{value:g}", where=field.name)
        if min(self.hosts, self.days, self.dim) < 1 or not 0 < self.base < 1:
            raise InputError("hosts, days and dim of 1 or more, base within 0 and 1", found=str(self), where="spec")


PRESETS: Final[dict[str, GoLiveSpec]] = {
    "a-a": GoLiveSpec(effects=("zero",), assignment="random", traits=1.0),
    "constant": GoLiveSpec(effects=("constant", "zero"), traits=1.0, assignment="logistic"),
    "observed": GoLiveSpec(effects=("observed", "constant"), traits=1.0, assignment="logistic"),
    "latent": GoLiveSpec(effects=("latent", "zero"), traits=1.0, assignment="logistic"),
    "fatigue": GoLiveSpec(effects=("fatigue",), traits=1.0, assignment="logistic"),
    "mixed": GoLiveSpec(
        effects=("observed", "latent", "fatigue"), traits=1.0, assignment="logistic", randomised=0.1, carry_over=0.2
    ),
    "no-overlap": GoLiveSpec(effects=("observed",), traits=1.0, assignment="threshold"),
    "dirty": GoLiveSpec(
        effects=("observed",),
        traits=1.0,
        assignment="logistic",
        randomised=0.1,
        policy_change=7,
        late=0.05,
        lost=0.02,
        repeated=0.01,
        undelivered=0.1,
        rotation=True,
        drift=0.3,
        new=0.1,
        label_delay=1,
        spillover=0.05,
    ),
    "platform": GoLiveSpec(
        effects=("observed", "latent", "fatigue"),
        traits=1.0,
        assignment="logistic",
        randomised=0.2,
        carry_over=0.2,
        exposure=0.03,
        reverse_cause=0.5,
        boosted=0.2,
        late=0.05,
        repeated=0.02,
        undelivered=0.05,
        new=0.1,
    ),
    "unseen": GoLiveSpec(effects=("constant",), traits=1.0, assignment="logistic", unseen=0.7),
    "exposure": GoLiveSpec(effects=("zero",), traits=1.0, exposure=0.03, reverse_cause=1.0, boosted=0.2),
}
