"""Decodes fetched records into entries of the engine."""
