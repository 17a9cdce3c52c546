"""Detectors of tasks, tours, tickets and work orders, one a file."""
