"""How the chain is, as the health endpoint and the feed status report it."""
