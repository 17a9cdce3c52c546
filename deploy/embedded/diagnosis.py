"""Explains in one line why a child ended during the start, and what to do about it."""

import re

from common.errors import WatchfloorError
from deploy.embedded.child import Child, describe_exit
from deploy.embedded.state import NO_SPACE

_INFORMATIVE = re.compile(r"\b(FATAL|PANIC|ERROR|Exception|Error)\b|^watchfloor:")
_PORT = ("Address already in use", "address already in use", "could not create any TCP/IP sockets")
_LINE_MAX = 240


def ended_while_starting(child: Child, lines: list[str]) -> WatchfloorError:
    """The error to report for a child that ended before it was ready.

    Args:
        child: the child.
        lines: the last lines of its log, in order.
    """
    code = child.exit_code() or 0
    text = "\n".join(lines)
    head = f"{child.spec.name} {describe_exit(code)} while starting"
    if NO_SPACE in text:
        return WatchfloorError(
            f"the disk is full: {head}", "free space on the state directory's disk, then start again"
        )
    if any(sign in text for sign in _PORT):
        return WatchfloorError(
            f"{head}: another program took its port in the meantime", "start again, or choose free ports"
        )
    reason = _reason(lines)
    return WatchfloorError(
        f"{head}{': ' + reason if reason else ''}",
        f"see {child.spec.log}; if the state directory is damaged, restore it from a copy or start with an empty one",
    )


def _reason(lines: list[str]) -> str:
    informative = [line for line in lines if _INFORMATIVE.search(line) and not line.lstrip().startswith("at ")]
    found = (informative or lines)[-1:]
    return found[0].strip().removeprefix("watchfloor: ")[:_LINE_MAX] if found else ""
