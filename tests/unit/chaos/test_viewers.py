"""The clients of the chaos test notice what a gateway did wrong: the same right story, told wrongly in several ways."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from chaos.viewers import Viewer, _Connection
from support.expected_messages import View
from support.feed_samples import anomaly, limited

from contracts.feed import encode_record
from contracts.messages import ConnectionEstablished, Resumed, encode_message
from contracts.projections import dashboard_messages
from gateway.access.known_names import TenantNames
from gateway.access.masking import masked_record

Json = dict[str, Any]
NOW = "2026-11-21T12:00:00.000Z"
RECORDS = [anomaly(1, 1), anomaly(1, 2, 2), anomaly(1, 3, client_id=9), anomaly(1, 4), limited(1, 5)]
LOG: dict[int, Json] = {record.seq: json.loads(encode_record(record)) for record in RECORDS}
VIEW = View(1, frozenset({"noc:view"}), clients=frozenset({2}))


def message(answer: Any) -> Json:
    decoded: Json = json.loads(encode_message(answer))
    return decoded


def of_record(seq: int, previous: int) -> list[Json]:
    record = masked_record(RECORDS[seq - 1], TenantNames(9))
    return [message(each) | {"prev_seq": previous} for each in dashboard_messages(record, NOW, 1.0)]


def story() -> list[list[Json]]:
    """Two connections: the second one resumes in the middle of the record with two parts."""
    established = ConnectionEstablished(
        timestamp=NOW, tenant_id=1, max_events_per_second=100, epoch="e", seq=0, capabilities=["noc:view"],
        server_version="1", heartbeat_interval_s=25, expires_at=NOW,
    )  # fmt: skip
    resumed = Resumed(timestamp=NOW, recovered=True, reason=None, first=2, last=5)
    first = [message(established), *of_record(1, 0), of_record(2, 1)[0]]
    second = [message(established), message(resumed), *of_record(2, 1), *of_record(4, 2), *of_record(5, 4)]
    return [first, second]


def faults_of(connections: list[list[Json]]) -> list[str]:
    viewer = Viewer(VIEW, "dashboard", lambda: "", [1], 0)
    for number, heard in enumerate(connections):
        viewer.connections.append(_Connection(viewer.position if number else None, heard))
        for each in heard:
            viewer._take(each)
    return viewer.judge(LOG)


def test_a_right_story_has_no_faults() -> None:
    assert faults_of(story()) == []


def without(number: int) -> Callable[[list[Json]], list[Json]]:
    return lambda heard: heard[:number] + heard[number + 1 :]


TAMPERED: dict[str, Callable[[list[Json]], list[Json]]] = {
    "a message is lost": without(4),
    "the last one is lost": without(5),
    "a part is lost": without(3),
    "a message comes twice": lambda heard: [*heard[:5], heard[4], *heard[5:]],
    "two change places": lambda heard: [*heard[:4], heard[5], heard[4]],
    "one is of another client": lambda heard: [*heard[:4], *of_record(3, 2), *heard[4:]],
    "one is not masked": lambda heard: [*heard[:4], heard[4] | {"person_name": "Valerie Ondo"}, *heard[5:]],
    "a name stands in a title": lambda heard: [*heard[:4], heard[4] | {"title": "It was Valerie Ondo"}, *heard[5:]],
    "one is not in the log": lambda heard: [*heard, heard[5] | {"seq": 6, "prev_seq": 5}],
    "one hides a loss": lambda heard: [*heard[:4], heard[5] | {"prev_seq": 2}],
    "one is another finding": lambda heard: [*heard[:4], heard[4] | {"anomaly_id": "of somebody"}, *heard[5:]],
    "the gap begins later": lambda heard: [heard[0], heard[1] | {"from": 3}, *heard[4:]],
    "something comes before the answer": lambda heard: [heard[0], heard[2], heard[1], *heard[3:]],
    "the tenant is another one": lambda heard: [heard[0] | {"tenant_id": 2}, *heard[1:]],
    "a field is missing": lambda heard: [*heard[:5], {name: value for name, value in heard[5].items() if name != "limit"}],
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_a_wrong_story_is_noticed(how: str) -> None:
    first, second = story()
    assert faults_of([first, TAMPERED[how](second)])
