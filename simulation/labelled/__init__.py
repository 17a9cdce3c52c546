"""Makes a labelled scenario from a seed: some weeks of some companies as row changes, and labels of what is wrong.

Owns what happens how often; what it is and how it looks is `simulation.world`'s.
"""

from simulation.labelled.plan import Span
from simulation.labelled.scenario import Scenario

__all__ = ["Scenario", "Span"]
