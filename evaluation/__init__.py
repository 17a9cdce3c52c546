"""How well the detectors find what is wrong: a labelled scenario, the fold over it, and the report.

`simulation.labelled` makes the scenario and knows nothing of the detectors; the modules here know nothing of how it is
made. Between them are the rows and labels of `simulation.records`, as values or as files (docs/evaluation.md).
"""
