"""What the gateway is told, and how often."""

from watchfloor_client.receipts import Receipts


def test_received_is_told_once_for_each_change() -> None:
    receipts = Receipts()
    assert receipts.due() == []
    for seq in (3, 4, 7):
        receipts.received(seq)
    assert receipts.due() == [{"type": "received", "seq": 7}]
    assert receipts.due() == []
    receipts.received(7)
    assert receipts.due() == []


def test_what_was_told_last_is_told_again_on_the_next_connection() -> None:
    receipts = Receipts()
    receipts.reconnected()
    assert receipts.due() == []
    receipts.received(7)
    receipts.due()
    receipts.reconnected()
    assert receipts.due() == [{"type": "received", "seq": 7}]


def test_seen_is_told_in_order_in_messages_that_the_contract_takes() -> None:
    receipts = Receipts()
    receipts.seen(f"f{number}" for number in range(150))
    receipts.seen(["f0", "f149"])
    [first], [second] = receipts.due(), receipts.due()
    assert first == {"type": "seen", "ids": [f"f{number}" for number in range(100)]}
    assert second == {"type": "seen", "ids": [f"f{number}" for number in range(100, 150)]}
    assert receipts.due() == []


def test_what_waits_to_be_told_is_bounded_and_the_newest_stay() -> None:
    receipts = Receipts()
    receipts.seen(f"f{number}" for number in range(5_000))
    told = [name for _ in range(20) for message in receipts.due() for name in message["ids"]]
    assert told == [f"f{number}" for number in range(4_000, 5_000)]
