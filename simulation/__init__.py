"""Simulated companies: one at work live for the demo, one with labels for the evaluation."""
