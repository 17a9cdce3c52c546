"""One file for each kind of input: what it changes in the tables, and which outcomes follow."""
