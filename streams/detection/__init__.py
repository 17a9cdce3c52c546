"""Runs the detectors, with their policies, baselines, timers, site contexts and events that wait for references."""
