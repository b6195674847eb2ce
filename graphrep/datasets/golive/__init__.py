"""Generated panels of hosts and days, in memory or as raw logs: nudges, go-lives, and the truth apart."""

from graphrep.datasets.golive.logs import golive_logs, spec_of
from graphrep.datasets.golive.panel import Observed, Truth, simulate
from graphrep.datasets.golive.spec import PRESETS, GoLiveSpec

__all__ = ["PRESETS", "GoLiveSpec", "Observed", "Truth", "golive_logs", "simulate", "spec_of"]
