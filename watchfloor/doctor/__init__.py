"""Checks of every component of a running chain, each with advice for its failure (`watchfloor doctor`)."""
