"""Runs a partition again: by its journal, or by the source topics alone."""
