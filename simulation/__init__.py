"""A simulated company: one world, played live for the demo and written out with labels for the evaluation.

`world` is the company and all that can happen in it. `live` plays it at the present moment and writes to PostgreSQL;
`labelled` makes weeks of it, with labels that say what is wrong. Imports nothing of what judges its rows.
"""
