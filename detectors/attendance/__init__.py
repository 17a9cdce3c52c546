"""Detectors of check-ins and check-outs, one a file."""
