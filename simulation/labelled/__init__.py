"""Makes a labelled company life from a seed. Imports nothing of the detectors, the stream or the contracts.

Every threshold here is this package's own view of what is right and wrong in such a company. What is wrong is
clearly wrong, and what is right comes close on purpose; nothing is planted in between, where sober people differ.
"""

from simulation.labelled.calendar import Span
from simulation.labelled.life import Life

__all__ = ["Life", "Span"]
