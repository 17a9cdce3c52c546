"""What is said of a server that gives no session."""

import psycopg
import pytest
from pydantic import SecretStr

from common.settings.source import SourceSettings
from connect.check import SignInError
from connect.schema import apply_schema

_HINT = "\tIs the server running on that host and accepting TCP/IP connections?"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            f'connection failed: connection to server at "h", port 1 failed: Connection refused\n{_HINT}',
            "answers at h:1 (Connection refused)",
        ),
        ("failed to resolve host 'h': Name or service not known", "(failed to resolve host 'h': Name or"),
        (
            (
                'connection failed: connection to server at "h", port 1 failed: SSL error: x\n'
                'connection to server at "h", port 1 failed: FATAL:  no pg_hba.conf entry for host "c"'
            ),
            'refuses user u (no pg_hba.conf entry for host "c")',
        ),
        (
            'connection failed: connection to server at "h", port 1 failed: fe_sendauth: no password supplied',
            "refuses user u (fe_sendauth: no password supplied)",
        ),
        ("", "(no reason given)"),
    ],
)
def test_the_reason_is_what_the_library_said_and_not_its_hint(
    monkeypatch: pytest.MonkeyPatch, message: str, expected: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError(message)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(SignInError) as caught:
        apply_schema(SourceSettings(admin_dsn=SecretStr("postgresql://u@h:1/d")))
    assert expected in caught.value.problem
    assert "Is the server running" not in caught.value.problem
