"""Settings of the vectors: the model, its walk, its training, and how long it goes on from the day before."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from graphrep import vocab
from graphrep.config.strict import Name, Strict

HISTORY: Final = "history"


class Neighbourhoods(Strict):
    """What the gnn has of its own, and its number of negatives: ``graphrep.embed.NeighbourTraining``."""

    negatives: int = Field(ge=1)
    views: int = Field(ge=1)
    layers: int = Field(ge=1)
    neighbours: int = Field(ge=1)
    missing: float = Field(ge=0, lt=1)
    new: float = Field(ge=0, lt=1)
    hard: int = Field(ge=1)
    hard_share: float = Field(ge=0, lt=1)


class Training(Strict):
    """How the learnt models are trained: ``graphrep.embed.Training``, and what the gnn has beside it."""

    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    history: int = Field(ge=1)
    horizon: int = Field(ge=1)
    decay: float = Field(gt=0, le=1)
    anchors: int = Field(ge=1)
    negatives: int = Field(ge=1)
    event_dropout: float = Field(ge=0, lt=1)
    surface_dropout: float = Field(ge=0, lt=1)
    dropout: float = Field(ge=0, lt=1)
    table_rate: float = Field(gt=0, lt=1)
    rate: float = Field(gt=0, lt=1)
    tether: float = Field(ge=0, lt=1)
    balance: float = Field(ge=0, le=1)
    folds: int = Field(ge=2)
    gnn: Neighbourhoods


class Anchors(Strict):
    min_degree: int = Field(ge=0)
    min_age_days: int = Field(ge=0)


class Embed(Strict):
    model: str
    space: Name
    anchors: Anchors
    dim: int = Field(ge=1)
    walk: Literal["joint", "history"]
    markov_time: int = Field(ge=1)
    lazy: bool
    device: str | None
    training: Training
    share: float | None = Field(ge=0, le=1)
    warm_epochs: int = Field(ge=1)
    cold_every_days: int = Field(ge=1)
    keep_states: int = Field(ge=1)

    @field_validator("model")
    @classmethod
    def _known(cls, given: str) -> str:
        if given not in vocab.MODELS:
            raise ValueError(f"expected one of {', '.join(vocab.MODELS)}, found {given!r}")
        return given

    @model_validator(mode="after")
    def _walk_of_the_model(self) -> Self:
        if self.learns and self.walk != HISTORY:
            raise ValueError(f"model {self.model} learns beside the walk from histories: expected walk: history")
        return self

    @model_validator(mode="after")
    def _walk_crosses(self) -> Self:
        if self.markov_time % 2 == 0 and not self.lazy:
            raise ValueError(
                f"markov_time {self.markov_time} without lazy: where only users act, an even number of steps from a"
                " user ends at users; take an odd number or lazy: true"
            )
        return self

    @property
    def learns(self) -> bool:
        """Whether the model is trained."""
        return self.model != vocab.AUTOCOVARIANCE
