"""The limit of scored events for each tenant, and the report of what went over it."""
