"""Generated panels of hosts and days: nudges, go-lives, embeddings of the day before, and the truth apart."""

from graphrep.datasets.golive.panel import Observed, Truth, simulate
from graphrep.datasets.golive.spec import PRESETS, GoLiveSpec

__all__ = ["PRESETS", "GoLiveSpec", "Observed", "Truth", "simulate"]
