"""What only the location detectors share."""
