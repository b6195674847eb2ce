"""Graph in, vectors out: walks, factorisation, exact scores, alignment."""

from graphrep.embed.align import Alignment, align
from graphrep.embed.attributes import attribute_edges, enhance
from graphrep.embed.autocovariance import autocovariance, multiscale
from graphrep.embed.factorise import Factors
from graphrep.embed.fit import Embedding, fit
from graphrep.embed.gnn.encoder_state import EncoderState
from graphrep.embed.gnn.settings import BagTraining, NeighbourTraining, Training
from graphrep.embed.gnn.state import State
from graphrep.embed.history_walk import Choice
from graphrep.embed.pmi import pmi
from graphrep.embed.scores import walk_scores

__all__ = [
    "Alignment",
    "BagTraining",
    "Choice",
    "Embedding",
    "EncoderState",
    "Factors",
    "NeighbourTraining",
    "State",
    "Training",
    "align",
    "attribute_edges",
    "autocovariance",
    "enhance",
    "fit",
    "multiscale",
    "pmi",
    "walk_scores",
]
