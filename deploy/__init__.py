"""How the chain runs on a machine: the embedded stack, the containers, and the configuration files that both share."""
