"""The chain in containers: what docker-compose.kafka.yml builds and mounts."""
