"""From records of the feed to frames in sockets: decoding, history, fan-out, resume."""
