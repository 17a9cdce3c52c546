"""How long a client waits after each close."""

import pytest

from watchfloor_client.closing import Backoff, advice_for, retry_after_s
from watchfloor_client.contract import ADVICE, Advice, CloseCode, Reconnect


def backoff(chance: float = 1.0, *, delay_s: float = 0.5) -> Backoff:
    return Backoff(delay_s=delay_s, delay_s_max=60, stable_after_s=10, chance=lambda: chance)


def advice(delay_s: int) -> Advice:
    return Advice(Reconnect.YES, delay_s, "")


def test_delays_grow_up_to_their_limit() -> None:
    waiting = backoff(delay_s=0.02)
    delays = [waiting.next_delay_s(advice(0), signed_in_s=0) for _ in range(14)]
    assert delays[:4] == [0.02, 0.04, 0.08, 0.16]
    assert delays[-1] == 60.0


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 4.0), (0.5, 6.0), (1.0, 8.0)])
def test_a_share_of_the_delay_is_left_to_chance(chance: float, delay_s: float) -> None:
    assert backoff(chance).next_delay_s(advice(8), signed_in_s=0) == delay_s


def test_a_connection_that_signed_in_starts_the_growth_anew() -> None:
    waiting = backoff()
    assert [waiting.next_delay_s(advice(1), signed_in_s=lived) for lived in (0, 9.9, 0, 10, 0)] == [1, 2, 4, 1, 2]


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 30.0), (1.0, 45.0)])
def test_what_the_server_asks_for_is_waited_at_least(chance: float, delay_s: float) -> None:
    assert backoff(chance).next_delay_s(advice(5), signed_in_s=0, asked_s=30) == delay_s


def test_a_delay_that_has_grown_above_what_the_server_asks_for_holds() -> None:
    waiting = backoff()
    assert [waiting.next_delay_s(advice(5), signed_in_s=0, asked_s=6) for _ in range(4)] == [9, 10, 20, 40]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("retry_after_s=20; the queue is full", (20, "the queue is full")),
        ("retry_after_s=20", (20, "")),
        ("retry_after_s=999999999; x", (3600, "x")),
        ("retry_after_s=-5; x", (0, "retry_after_s=-5; x")),
        ("retry_after_s=1e9; x", (0, "retry_after_s=1e9; x")),
        ("x retry_after_s=20", (0, "x retry_after_s=20")),
        ("", (0, "")),
    ],
)
def test_the_prefix_of_a_reason(reason: str, expected: tuple[int, str]) -> None:
    assert retry_after_s(reason) == expected


def test_every_close_code_has_its_advice_and_others_are_broken_connections() -> None:
    assert {code: advice_for(int(code)) for code in CloseCode} == ADVICE
    for code in (None, 1000, 1006, 4999):
        assert advice_for(code).reconnect is Reconnect.YES
