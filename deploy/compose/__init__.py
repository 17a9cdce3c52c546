"""The chain in containers: the files that docker-compose.kafka.yml builds from and mounts."""
