"""How well the detectors find what is wrong: a labelled company life, the fold over it, and the report.

`simulation.labelled` makes the life and knows nothing of the detectors; the other modules know nothing of how it is
made. Between them stand the rows and labels of `simulation.records`, as values or as files (docs/evaluation.md).
"""
