"""One partition as a pure state machine: commit order, positions, micro-batches."""
