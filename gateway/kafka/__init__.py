"""The gateway's Kafka clients: reading topics, and the one producer."""
