"""Ports: free ones are found, taken ones are named with their holder, kept ones stay."""

import socket
from collections.abc import Iterator

import pytest

from common.errors import WatchfloorError
from deploy.embedded.ports import asked_for, choose, is_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_listening_port_is_not_free(taken_port: int) -> None:
    assert not is_free(taken_port)


def test_a_port_whose_server_has_gone_is_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
    assert is_free(port)


def test_a_taken_port_that_was_asked_for_is_refused_with_its_holder_and_the_option(taken_port: int) -> None:
    with pytest.raises(WatchfloorError) as failure:
        asked_for(taken_port, "--gateway-port")
    assert f"port {taken_port} is taken by " in str(failure.value)
    assert "--gateway-port" in failure.value.advice


def test_a_kept_port_is_chosen_again_and_a_taken_one_is_replaced(taken_port: int) -> None:
    kept = choose([], set())
    assert choose([kept], set()) == kept
    assert choose([taken_port], set()) != taken_port


def test_no_port_is_given_twice() -> None:
    taken: set[int] = set()
    first = choose([], taken)
    assert choose([first], taken) != first


def test_chosen_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    assert all(20_000 <= choose([], set()) < 32_000 for _ in range(20))
