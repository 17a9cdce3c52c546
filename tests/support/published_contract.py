"""The published schemas of docs/schemas, held against what really goes over a socket.

Every client of the chain tests passes each frame that it sends and hears through here, so each of those tests is
a test of the documents too.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or (value.endswith("Z") and datetime.fromisoformat(value) is not None)


def check_heard(message: Any, address: str) -> None:
    """Hold a message of the gateway against its schema.

    Args:
        message: as decoded.
        address: of the connection; one type has another shape on each endpoint.

    Raises:
        AssertionError: it is none of the contract.
    """
    problems = list(heard_problems(message, address))
    assert not problems, f"not as docs/schemas/server says: {'; '.join(problems[:3])}: {message}"


def check_said(message: Any) -> None:
    """Hold a message of a client against its schema.

    Raises:
        AssertionError: it is none of the contract; a test that says so on purpose sends it as a wrong one.
    """
    problems = list(said_problems(message))
    assert not problems, f"not as docs/schemas/client says: {'; '.join(problems[:3])}"


def heard_problems(message: Any, address: str) -> Iterator[str]:
    """What is wrong with a message of the gateway."""
    kind = message.get("type") if isinstance(message, dict) else None
    endpoint = "anomaly-stream" if "anomaly-stream" in urlsplit(address).path else "dashboard"
    schemas = _validators("server")
    yield from _problems(schemas.get(f"{kind}.{endpoint}") or schemas.get(str(kind)), message)


def said_problems(message: Any) -> Iterator[str]:
    """What is wrong with a message of a client; no word of it is repeated, since it may hold a token."""
    kind = message.get("type") if isinstance(message, dict) else None
    yield from _problems(_validators("client").get(str(kind)), message, quote=False)


def _problems(schema: Draft202012Validator | None, message: Any, *, quote: bool = True) -> Iterator[str]:
    if schema is None:
        yield "no message of that type"
        return
    for error in schema.iter_errors(message):
        yield error.message if quote else f"{error.validator} at {error.json_path}"


@cache
def _validators(folder: str) -> dict[str, Draft202012Validator]:
    found = {}
    for file in (SCHEMAS / folder).glob("*.json"):
        schema = json.loads(file.read_text("utf-8"))
        Draft202012Validator.check_schema(schema)
        found[file.stem] = Draft202012Validator(schema, format_checker=_formats)
    assert found, f"no schemas in {SCHEMAS / folder}"
    return found
