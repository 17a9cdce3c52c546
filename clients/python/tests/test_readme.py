"""The examples of README.md do what they say."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from watchfloor_client import Message

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
FEED, TYPED, READERS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def example(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "README.md", "exec"), names)  # noqa: S102 - the example itself
    return names


def test_a_feed_is_followed(scripted: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0, severity="HIGH", anomaly_type="WRONG_PERSON", site_name="Depot")
        visit.anomaly(4, 3, severity="LOW", anomaly_type="LATE_CHECK_IN", site_name=None)
        visit.close(4403)

    (tmp_path / "token").write_text("t\n")
    with pytest.raises(Exception, match="refuses this client"):
        asyncio.run(example(FEED)["follow"](scripted(script).url, tmp_path / "token"))
    assert capsys.readouterr().out.splitlines() == [
        "HIGH WRONG_PERSON Depot",
        "reload: messages 2 to 3 are missing: lost",
        "LOW LATE_CHECK_IN None",
    ]


def test_a_message_is_typed() -> None:
    body = {"type": "ticket_updated", "ticket_no": "T-1", "old_status": "NEW", "new_status": "OPEN"}
    assert example(TYPED)["line"](Message("ticket_updated", body)) == "T-1: NEW -> OPEN"


def test_a_topic_is_read_by_the_rule() -> None:
    def record(body: dict[str, Any], generation: int) -> SimpleNamespace:
        headers = [("generation", b"%d" % generation)]
        return SimpleNamespace(partition=0, headers=headers, value=json.dumps(body).encode())

    def numbered(seq: int, generation: int) -> SimpleNamespace:
        return record({"type": "anomaly_detected", "tenant_id": 1, "seq": seq}, generation)

    log = [
        numbered(1, 1),
        record({"type": "fence", "generation": 2}, 2),
        numbered(1, 2),
        numbered(2, 1),
        numbered(2, 2),
    ]
    assert [body["seq"] for body in example(READERS)["shown"](log)] == [1, 2]
