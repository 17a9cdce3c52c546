"""What only the attendance detectors share."""
