"""The tables of a partition and how their snapshots are cut."""
