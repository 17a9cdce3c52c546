"""What the worker keeps for each tenant: typed tables, timers, detector states, waiting events."""
