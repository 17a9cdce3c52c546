"""The handlers, one file for each kind of input: they change the tables and return the outcomes."""
