"""Detectors of rows that cannot be right as they stand, one a file."""
