"""What a ranker imports: the published vectors by key. Needs numpy alone and starts in milliseconds."""

from graphrep.contracts.pseudonyms import pseudonym
from graphrep.lookup.live import LiveReader, follow_releases
from graphrep.lookup.reader import Hit, Neighbor, Release, open_release
from graphrep.lookup.spaces import InSpace
from graphrep.lookup.uplift import UpliftHit

__all__ = [
    "Hit",
    "InSpace",
    "LiveReader",
    "Neighbor",
    "Release",
    "UpliftHit",
    "follow_releases",
    "open_release",
    "pseudonym",
]
