"""How a partition gets its owner: fencing, recovery, standby copies."""
