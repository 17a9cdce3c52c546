"""The verifier itself: whatever is changed in a right log, it notices."""

import dataclasses
import json
from collections.abc import Callable

import msgspec
import pytest
from chaos.logs import OUTPUTS, Logs
from chaos.scene import Scene, chosen
from chaos.topic_reader import Record
from chaos.verifier import verify

pytestmark = pytest.mark.timeout(600)


def with_body(record: Record, **fields: object) -> Record:
    """The record with some fields of its JSON changed."""
    return dataclasses.replace(record, value=json.dumps(json.loads(record.value or b"") | fields).encode())


def last_message(logs: Logs) -> int:
    """Index of a feed record that is no fence."""
    return max(index for index, record in enumerate(logs.feed) if record.key is not None)


def lost_message(logs: Logs) -> None:
    del logs.feed[last_message(logs)]


def repeated_message(logs: Logs) -> None:
    logs.feed.append(dataclasses.replace(logs.feed[last_message(logs)], offset=10**9))


def swapped_numbers(logs: Logs) -> None:
    at = last_message(logs)
    logs.feed[at] = with_body(logs.feed[at], seq=json.loads(logs.feed[at].value or b"")["seq"] + 1)


def made_up_message(logs: Logs) -> None:
    record = logs.feed[last_message(logs)]
    seq = json.loads(record.value or b"")["seq"] + 1
    logs.feed.append(dataclasses.replace(with_body(record, seq=seq, id="new"), offset=10**9))


def message_of_an_older_generation(logs: Logs) -> None:
    at = last_message(logs)
    logs.feed[at] = dataclasses.replace(logs.feed[at], headers=logs.feed[at].headers | {"generation": b"0"})


def lost_clean_event(logs: Logs) -> None:
    events = json.loads(logs.processed[-1].value or b"")["events"]
    logs.processed[-1] = with_body(logs.processed[-1], events=events[1:])


def repeated_clean_events(logs: Logs) -> None:
    logs.processed.append(dataclasses.replace(logs.processed[-1], offset=10**9))


def lost_dead_letter(logs: Logs) -> None:
    logs.dead_letters.pop()


def lost_journal_entry(logs: Logs) -> None:
    logs.journal.pop()


def other_spans(logs: Logs) -> None:
    at = max(index for index, record in enumerate(logs.journal) if json.loads(record.value or b"").get("spans"))
    spans = json.loads(logs.journal[at].value or b"")["spans"]
    topic, (start, end) = next(iter(spans.items()))
    logs.journal[at] = with_body(logs.journal[at], spans=spans | {topic: [start, end + 1]})


def uncounted_late_row(logs: Logs) -> None:
    at = max(index for index, record in enumerate(logs.journal) if json.loads(record.value or b"").get("spans"))
    logs.journal[at] = with_body(logs.journal[at], late=json.loads(logs.journal[at].value or b"").get("late", 0) + 1)


def _last_key(logs: Logs, prefix: bytes) -> int:
    return max(index for index, record in enumerate(logs.changelog) if (record.key or b"").startswith(prefix))


def wrong_count_in_the_state(logs: Logs) -> None:
    at = _last_key(logs, b"tenant:")
    generation, value = msgspec.msgpack.decode(logs.changelog[at].value or b"")
    value[2][1] += 1
    logs.changelog[at] = dataclasses.replace(logs.changelog[at], value=msgspec.msgpack.encode([generation, value]))


def lost_state(logs: Logs) -> None:
    last = {record.key: record.value for record in logs.changelog if (record.key or b"").startswith(b"shift:")}
    key = next(key for key, value in last.items() if msgspec.msgpack.decode(value or b"")[1])
    logs.changelog[:] = [record for record in logs.changelog if record.key != key]


def lost_position(logs: Logs) -> None:
    del logs.changelog[_last_key(logs, b"@position")]


TAMPERINGS: tuple[Callable[[Logs], None], ...] = (
    lost_message,
    repeated_message,
    swapped_numbers,
    made_up_message,
    message_of_an_older_generation,
    lost_clean_event,
    repeated_clean_events,
    lost_dead_letter,
    lost_journal_entry,
    other_spans,
    uncounted_late_row,
    wrong_count_in_the_state,
    lost_state,
    lost_position,
)


def test_the_verifier_notices_every_change(scene: Scene) -> None:
    """Each tampering alone turns a right log into one with violations."""
    scene.begin(1, chosen("RATE", 1_500, 1_500))
    scene.let_pass(4.0, 4.0)
    scene.finish()
    reader = scene.cluster.reader
    parts = [Logs.read(reader, scene.name, number) for number in reader.ends(f"{scene.name}.journal")]
    for logs in parts:
        assert not verify(copied(logs), raw=True).violations
    for tamper in TAMPERINGS:
        found = [verify(logs, raw=True).violations for logs in map(copied, parts) if applies(tamper, logs)]
        assert found, f"{tamper.__name__} fits no partition"
        assert all(found), f"{tamper.__name__} goes unnoticed"


def copied(logs: Logs) -> Logs:
    """Lists of its own, since verifying and tampering change them."""
    return dataclasses.replace(logs, **{name: list(getattr(logs, name)) for name in ("sources", *OUTPUTS.values())})


def applies(tamper: Callable[[Logs], None], logs: Logs) -> bool:
    """Tamper; whether the partition had such a record."""
    try:
        tamper(logs)
    except (IndexError, ValueError, StopIteration):
        return False
    return True
