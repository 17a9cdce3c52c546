"""Benchmarks are commands, not a package: their folders are put on the path, as Python does for a command."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "benchmarks" / "fanout")]
