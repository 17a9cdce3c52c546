"""What the tests of the client share."""

from support.scripted_gateway import dead_port, scripted

__all__ = ["dead_port", "scripted"]
