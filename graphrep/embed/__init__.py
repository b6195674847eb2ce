"""Graph in, vectors out: walks, factorisation, exact scores, alignment."""

from graphrep.embed.align import Alignment, align
from graphrep.embed.autocovariance import Factors, autocovariance, multiscale
from graphrep.embed.fit import Embedding, fit
from graphrep.embed.scores import walk_scores

__all__ = ["Alignment", "Embedding", "Factors", "align", "autocovariance", "fit", "multiscale", "walk_scores"]
