"""Configuration files that the embedded stack and docker compose share; no code."""
