"""Chooses ports on the loopback interface: free ones, kept ones, and those that the user asked for.

Nothing is reserved between the choice and the server's own bind. Ports are chosen outside the range from which
the kernel takes ports for outgoing connections, so that no connection takes one in between.
"""

import random
import socket
from collections.abc import Iterable

import psutil

from common.errors import WatchfloorError

LOOPBACK = "127.0.0.1"
_RANGE = range(20_000, 32_000)
_TRIES_MAX = 200


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that a port whose last connections are in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def asked_for(port: int, option: str) -> int:
    """Check a port that the user asked for, and return it.

    Raises:
        WatchfloorError: it is taken.
    """
    if not is_free(port):
        raise WatchfloorError(
            f"port {port} is taken{_holder(port)}",
            f"stop that program, or choose another port with {option}",
        )
    return port


def choose(preferred: Iterable[int | None], taken: set[int]) -> int:
    """The first free port of `preferred`, or any free one; it is added to `taken`.

    Raises:
        WatchfloorError: no free port was found.
    """
    candidates = [port for port in preferred if port is not None]
    candidates += random.sample(_RANGE, _TRIES_MAX)
    for port in candidates:
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    raise WatchfloorError(
        "no free port was found on 127.0.0.1", "choose ports with --gateway-port and the similar options"
    )


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr[1] == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    break
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass  # the process of another user cannot be seen, so only the port is named
    return ""
