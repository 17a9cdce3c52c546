"""Secrets that a setting has, or a file that another setting names."""

from pathlib import Path

from pydantic import SecretStr

from common.errors import WatchfloorError
from common.settings.connect import ConnectSettings


def secret_text(setting: str, value: SecretStr | None, file: Path | None) -> str:
    """The secret: the setting's own, otherwise the content of the file without surrounding space; empty without both.

    Args:
        setting: its name, for the message of the failure.
        value: the setting.
        file: read now, so that a changed secret counts from the next use on.

    Raises:
        WatchfloorError: the file cannot be read.
    """
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return ""
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise WatchfloorError(
            f"the file {file} of setting {setting} cannot be read ({why})", "correct its path or its permissions"
        ) from error


def connect_sign_in(connect: ConnectSettings) -> tuple[str, str] | None:
    """User and password of Connect's REST interface; None where it asks for neither. Raises as `secret_text` does."""
    if connect.user is None:
        return None
    return connect.user, secret_text("connect.password", connect.password, connect.password_file)
