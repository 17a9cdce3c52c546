"""The whole chain on one machine: PostgreSQL, Kafka, Connect, worker and gateway as child processes."""
