"""Benchmarks are commands, not a package: their folders are put on the path, as Python does for a command."""

import sys

from support.paths import ROOT

sys.path += [str(ROOT / "benchmarks"), str(ROOT / "benchmarks" / "fanout")]
