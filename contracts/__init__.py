"""What crosses a topic or a socket: values and their encodings. No I/O, no clock, no settings."""
