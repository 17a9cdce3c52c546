"""The scripted gateway and the command line are for every unit test."""

from support.command_line import state_dir, watchfloor
from support.scripted_gateway import dead_port, scripted

__all__ = ["dead_port", "scripted", "state_dir", "watchfloor"]
