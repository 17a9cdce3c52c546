"""Present state that the gateway folds from topics."""
