"""What detectors of several kinds share: geography, baselines, facts about sites and shifts. Pure."""
