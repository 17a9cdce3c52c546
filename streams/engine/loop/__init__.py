"""The engine running: reads, cuts micro-batches, has them processed, writes."""
