"""Runs a partition again: by its journal, or by its source topics alone."""
