"""How the chain is brought to a machine: the embedded stack, the demo, containers, shared configuration."""
