"""Watchfloor: the command line, the settings and what every process shares."""

__version__ = "0.1.0"
