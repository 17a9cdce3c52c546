"""Checks of every component of a running chain, each with what to do when it fails (`watchfloor doctor`)."""
