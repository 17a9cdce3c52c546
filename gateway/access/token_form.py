"""What a token must look like before a key is fetched for it or a signature is computed.

Pure. Strict where JSON is lenient: a claim that is there twice means one thing to this reader and another to the
next, and NaN is neither above nor below any limit. Never says whether a token is good: that is `gateway.access.tokens`.
"""

import base64
import json
from typing import Any, NoReturn

_PARTS = 3


def form_problem(token: str, bytes_max: int) -> str | None:
    """What is wrong with a token's form, in words without a part of it; None where nothing is.

    Args:
        token: as it came.
        bytes_max: a longer one is not looked at.

    >>> form_problem("a.b", 100)
    'this is not a token'
    """
    if len(token) > bytes_max:
        return f"a token has at most {bytes_max} characters"
    parts = token.split(".") if token.isascii() else []
    if len(parts) != _PARTS:
        return "this is not a token"
    try:
        for part in parts[:2]:
            content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
            json.loads(content, object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return "the token is not valid (its JSON)"
    return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
