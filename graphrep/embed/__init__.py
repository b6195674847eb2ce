"""Graph in, vectors out: walks, factorisation, alignment."""

from graphrep.embed.align import Alignment, align
from graphrep.embed.autocovariance import Factors, autocovariance
from graphrep.embed.fit import Embedding, fit

__all__ = ["Alignment", "Embedding", "Factors", "align", "autocovariance", "fit"]
