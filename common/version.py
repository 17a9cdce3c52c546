"""The version of this release, as every process tells it."""

__version__ = "0.1.0"
