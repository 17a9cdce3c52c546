"""Detectors of rows with values that cannot be right, one a file."""
