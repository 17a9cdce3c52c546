"""A Connect that answers as a test tells it."""

from support.scripted_connect import cluster, settings

__all__ = ["cluster", "settings"]
