"""The only room that opens a data file: raw logs, working tables, run manifests, releases.

``releases`` and ``files`` need numpy and the standard library alone, so that ``lookup`` starts in milliseconds.
"""
