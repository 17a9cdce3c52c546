"""What is said of a server that gives no session, and how sessions are encrypted.

Also of common/settings/source.py.
"""

import psycopg
import pytest
from pydantic import SecretStr

from common.settings.source import SourceSettings
from connect.check import SignInError, admin_dsn, capture_dsn
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
        (
            'connection failed: connection to server at "h", port 1 failed: root certificate file "r" does not exist',
            'h:1 is not secure (root certificate file "r" does not exist)',
        ),
        (
            'connection to server at "h", port 1 failed: server does not support SSL, but SSL was required',
            "h:1 is not secure (server does not support SSL, but SSL was required)",
        ),
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


def test_every_session_elsewhere_is_encrypted_unless_somebody_insists() -> None:
    remote = SourceSettings(host="db", admin_dsn=SecretStr("postgresql://u@db/d"))
    assert "sslmode=verify-full" in capture_dsn(remote)
    assert "sslmode=verify-full" in str(admin_dsn(remote))
    assert "sslmode=require" in str(
        admin_dsn(SourceSettings(admin_dsn=SecretStr("postgresql://u@db/d?sslmode=require")))
    )
    assert "sslmode=disable" in str(admin_dsn(remote.model_copy(update={"sslmode": "disable"})))
    here = SourceSettings(admin_dsn=SecretStr("postgresql://u@127.0.0.1/d"))
    assert "sslmode=prefer" in capture_dsn(here)
    assert "sslmode=prefer" in str(admin_dsn(here))
