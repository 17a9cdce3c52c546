"""The limit of scored events for each tenant, and the reports of bursts over it."""
