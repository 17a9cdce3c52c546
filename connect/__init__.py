"""Change capture: the watched database's preparation, the connector's configuration and its registration."""
