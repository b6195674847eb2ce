"""Graph in, vectors out by message passing: what it is trained with."""
