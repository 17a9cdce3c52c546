"""Every setting of every process, typed, with its unit last in its name: one file for each owner."""
