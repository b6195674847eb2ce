"""What a ranker imports: the published vectors by key. Needs numpy alone and starts in milliseconds."""

from graphrep.lookup.reader import Hit, Neighbor, Release, open_release

__all__ = ["Hit", "Neighbor", "Release", "open_release"]
