"""Detectors of devices and phones, one a file."""
