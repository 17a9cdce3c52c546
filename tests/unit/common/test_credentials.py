"""Where a secret comes from: a setting, or a file that a setting names."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from common.credentials import connect_sign_in, secret_text
from common.errors import WatchfloorError
from common.settings.connect import ConnectSettings


def test_the_setting_comes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" in the file\n")
    assert secret_text("x", SecretStr("set"), file) == "set"
    assert secret_text("x", None, file) == "in the file"
    assert secret_text("x", None, None) == ""


def test_a_file_that_is_no_text_or_not_there_is_one_clear_failure(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(WatchfloorError, match=r"of setting x\.y cannot be read \(No such file"):
        secret_text("x.y", None, file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(WatchfloorError, match="it is not text"):
        secret_text("x.y", None, file)


def test_connect_is_asked_with_a_password_only_where_there_is_a_user() -> None:
    assert connect_sign_in(ConnectSettings(password=SecretStr("pw"))) is None
    assert connect_sign_in(ConnectSettings(user="me", password=SecretStr("pw"))) == ("me", "pw")
