"""Change capture: preparing the watched database, configuring the connector and registering it."""
