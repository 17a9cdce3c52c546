"""What only the device detectors share."""
