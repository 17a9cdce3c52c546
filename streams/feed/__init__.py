"""Writes all outputs: numbers and encodes outcomes, and holds the circuit breaker of the dead letters."""
