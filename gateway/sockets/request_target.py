"""The path of a request target, in the one form in which this gateway answers it.

Pure. A proxy and the server behind it that read one target differently let through what the proxy should keep out: a
target that can be read in two ways is refused, not repaired.
"""

import re

_PATH = re.compile(r"/(?:[A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*")
"""No empty segments, nothing encoded, no parameters, no control characters; what is served here needs none of them."""
_QUERY = re.compile(r"[\x21-\x22\x24-\x7e]*")


def path_of(target: str) -> str | None:
    """The path without its query; None where the target is absolute, or can be read in more than one way.

    >>> path_of("/readyz?now"), path_of("/")
    ('/readyz', '/')
    >>> [path_of(target) for target in ("//x/metrics", "http://x/metrics", "/a/../b", "/%2e", "/a;b", "/a#b", "*", "")]
    [None, None, None, None, None, None, None, None]
    """
    path, _, query = target.partition("?")
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        return None
    return None if {".", ".."} & set(path.split("/")) else path
