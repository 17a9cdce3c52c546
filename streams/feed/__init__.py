"""The only door out: numbers, encodes and writes outcomes; dead letters and their breaker."""
