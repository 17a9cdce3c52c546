"""Detectors of GPS fixes, one a file."""
