"""The command line of Watchfloor. No other package imports it."""
