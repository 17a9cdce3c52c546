"""Formats a feed for a terminal: one line for each message, coloured by severity. Pure functions.

The texts of the feed come from a customer's database. Control characters are replaced, so that a ticket's
description cannot move the cursor or change the terminal's colours.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from watchfloor_client.events import Connected, Disconnected, Event, Gap, Message, Resumed

_COLOURS = {"CRITICAL": "bright_red", "HIGH": "red", "MEDIUM": "yellow", "LOW": "cyan", "INFO": "white"}
_ORDER = ("INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL")
_SEVERITY_WIDTH, _KIND_WIDTH = 8, 18
_KIND_COLOURS = {"ERROR": "red", "RATE LIMIT": "magenta", "TICKET": "blue", "UNSEEN": "bright_red", "FEED": "yellow"}
_GAP_REASONS = {
    "lost": "they did not arrive",
    "epoch_changed": "the log behind the feed is a new one",
    "unknown_position": "the log never reached the position that was given",
    "too_old": "the log does not reach back that far",
    "too_many": "more than the gateway sends again at once",
    "unavailable": "the gateway cannot read the log at the moment",
    "log_hole": "the log lost them",
}


def message_line(message: Message, *, colour: bool) -> str:
    """One message as one line.

    Args:
        message: a message of any type; unknown ones show their type and fields.
        colour: whether to add terminal colours.
    """
    body = message.body
    severity = ""
    match message.type:
        case "anomaly_detected":
            severity, kind, text = _anomaly(body)
        case "ticket_updated":
            kind, text = "TICKET", _ticket(body)
        case "rate_limited":
            dropped, limit, window = body.get("dropped"), body.get("limit"), _time(body.get("window"))
            kind, text = "RATE LIMIT", f"{dropped} events not scored, limit {limit}, window {window}"
        case "event_processed":
            kind, text = "clean", f"{_text(body.get('event_type'))} {_latency(body)}"
        case "error":
            kind, text = "ERROR", f"{_text(body.get('message'))} ({_text(body.get('correlation_id'))})"
        case "feed_status":
            kind, text = "FEED", _feed_status(body)
        case "critical_unseen":
            kind, text = "UNSEEN", _unseen(body)
        case "message_seen":
            kind, text = "SEEN", f"{_text(body.get('id'))} by {_seen_by(body)}"
        case other:
            shown = [f"{name}={_text(value)}" for name, value in body.items() if name not in ("type", "timestamp")]
            kind, text = _text(other), ", ".join(shown)
    head = f"{severity:<{_SEVERITY_WIDTH}} {kind:<{_KIND_WIDTH}}"
    line_colour = _COLOURS.get(severity) or _KIND_COLOURS.get(kind)
    if colour:
        head = typer.style(head, fg=line_colour, bold=severity == "CRITICAL", dim=kind == "clean")
    return f"{_time(body.get('timestamp'))} {head} {text}".rstrip()


def notice_line(event: Event) -> str:  # noqa: PLR0911 - one return for each event
    """An event of the connection as one line for standard error."""
    match event:
        case Connected(tenant_id, _, seq):
            return f"connected as tenant {tenant_id}, after message {seq}"
        case Resumed(first, last) if event.missed:
            return f"resumed: messages {first} to {last} follow"
        case Resumed():
            return "resumed: nothing was missed"
        case Gap(None, _, reason):
            return f"gap: {gap_reason(reason)}; numbering starts again"
        case Gap(first, last, reason):
            return f"gap: messages {first} to {last} are missing: {gap_reason(reason)}"
        case Disconnected(code, reason, retry_in_s):
            shown = f" ({code})" if code is not None else ""
            return f"disconnected: {_text(reason)}{shown}; next attempt in {retry_in_s:.1f} s"
        case Message(kind, _):
            return _text(kind)


def gap_reason(reason: str) -> str:
    """A reason of the contract in words; an unknown one is shown unchanged.

    >>> gap_reason("too_old")
    'the log does not reach back that far'
    """
    return _GAP_REASONS.get(reason) or _text(reason)


def _feed_status(body: Mapping[str, Any]) -> str:
    if body.get("state") == "live":
        return "the feed is up to date"
    state = "interrupted" if body.get("state") == "interrupted" else "behind"
    seconds, records = body.get("behind_seconds"), body.get("behind_records")
    return _joined(
        f"the feed is {state}",
        f"{seconds:.0f} s" if isinstance(seconds, int | float) else "",
        f"{records} records" if isinstance(records, int) else "",
        f"held up at: {_text(body.get('component'))}" if body.get("component") else "",
        f"since {_time(body.get('since'))}" if body.get("since") else "",
    )


def _unseen(body: Mapping[str, Any]) -> str:
    seconds = body.get("unseen_seconds")
    waited = f"for {seconds:.0f} s" if isinstance(seconds, int | float) else ""
    sent = f"sent to {body.get('recipients')}"
    return _joined(f"nobody has looked at {_text(body.get('id'))} {waited}".rstrip(), _named(body, "site"), sent)


def _seen_by(body: Mapping[str, Any]) -> str:
    people = body.get("seen_by")
    named = [each for each in people if isinstance(each, Mapping)] if isinstance(people, list) else []
    return ", ".join(_text(each.get("user")) for each in named) or "nobody"


def _anomaly(body: Mapping[str, Any]) -> tuple[str, str, str]:
    findings: Sequence[Mapping[str, Any]] = body.get("findings") or []
    if findings:
        worst = max((str(each.get("severity")) for each in findings), key=lambda name: (*_ORDER, name).index(name))
        kind = "+".join(_text(each.get("finding_type")) for each in findings)
        title = "; ".join(_text(each.get("title")) for each in findings)
    else:
        worst, kind, title = _text(body.get("severity")), _text(body.get("anomaly_type")), _text(body.get("title"))
    return worst, kind, _joined(title, _named(body, "site"), _named(body, "person"), _latency(body))


def _ticket(body: Mapping[str, Any]) -> str:
    number = _text(body.get("ticket_no") or body.get("ticket_id"))
    change = f"{number} {_text(body.get('old_status'))} -> {_text(body.get('new_status'))}"
    return _joined(change, _text(body.get("priority")), _named(body, "site"), _text(body.get("description")))


def _named(body: Mapping[str, Any], what: str) -> str:
    name, number = body.get(f"{what}_name"), body.get(f"{what}_id")
    return _text(name) if name else (f"{what} {number}" if number is not None else "")


def _latency(body: Mapping[str, Any]) -> str:
    latency_ms = body.get("detection_latency_ms")
    return f"{latency_ms:.0f} ms" if isinstance(latency_ms, int | float) else ""


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _time(value: object) -> str:
    """The time of day in the local time zone, to the millisecond."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return " " * 12
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().isoformat(sep=" ", timespec="milliseconds")[11:23]


def _text(value: object) -> str:
    if value is None:
        return ""
    return "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in str(value))
