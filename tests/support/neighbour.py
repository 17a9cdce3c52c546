"""Another user of the machine: runs a function without any right of the user who runs the tests."""

import os
import pickle
import sys
from collections.abc import Callable
from typing import TypeVar

import pytest

Answer = TypeVar("Answer")

UID = 54_321
"""Of nobody who has an account: not `nobody` itself, as whom PostgreSQL runs where root starts the stack."""


def as_neighbour(act: Callable[[], Answer]) -> Answer:
    """What the function returns when another user of this machine runs it; what it raises is an AssertionError here.

    Args:
        act: returns what can be pickled. Runs in a forked process: nothing else of this one changes.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        answer: object
        try:
            os.setgroups([])
            os.setgid(UID)
            os.setuid(UID)
            answer = (True, act())
        except BaseException as error:  # noqa: BLE001 - the parent process reports it
            answer = (False, repr(error))
        with os.fdopen(writer, "wb") as file:
            pickle.dump(answer, file)
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        done, value = pickle.load(file)  # noqa: S301 - written by the process that was forked here
    os.waitpid(child, 0)
    assert done, value
    answered: Answer = value
    return answered
