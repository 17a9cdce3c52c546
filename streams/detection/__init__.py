"""Runs the detectors: their policies, baselines, site contexts, and events that wait for references."""
