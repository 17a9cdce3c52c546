"""The worker's state of each tenant: typed tables, timers, detector states, waiting events."""
