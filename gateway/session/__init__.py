"""The protocol of one connection, without I/O: messages in, effects out."""
