"""What only the work detectors share."""
