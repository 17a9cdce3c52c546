"""The gateway's Kafka clients: one reader of topics, one producer."""
