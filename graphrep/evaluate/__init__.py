"""How good a set of vectors is: metrics, and the simple baselines that stand beside every result."""

from graphrep.evaluate import baselines, metrics

__all__ = ["baselines", "metrics"]
