"""Watchfloor: the command line. Nothing imports it."""
