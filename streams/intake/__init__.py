"""From a fetched record to an entry of the engine."""
