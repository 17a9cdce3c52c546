"""What every process shares: settings, Kafka, logs, errors, paths. Imports nobody else of the project."""
