"""Releases for stores that others run: Feast, Redis, a vector index. Each knows its library in one module."""
