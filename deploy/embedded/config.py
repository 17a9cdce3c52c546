"""The settings of the processes that the launcher starts: the user's settings with the launcher's addresses.

Owns `watchfloor.toml` in the state directory and the environment of the children. Secrets are only in that
file, which only its owner can read.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from common.settings.load import GENERATED, Settings
from deploy.embedded.state import write_private


def merged(base: Settings, overrides: Mapping[str, Mapping[str, Any]], file: Path) -> Settings:
    """Write the user's settings, overridden by the launcher's, to `file`; return them as the children will read them.

    Args:
        base: the settings from the user's file and environment.
        overrides: for each section its settings by name, groups as tables; None leaves a setting out.
        file: the TOML file to write, with mode 0600.
    """
    sections = plain_settings(base)
    _put(sections, overrides)
    head = f"{GENERATED} at each start: the settings of the running stack. Holds secrets.\n"
    write_private(file, head + to_toml(sections))
    # Arguments take precedence over the environment, which has already been read into `base`.
    return Settings(**sections)


def _put(tree: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            _put(tree.setdefault(name, {}), value)
        elif value is not None:
            tree[name] = value


def plain_settings(model: BaseModel) -> dict[str, Any]:
    """The settings of a section or of all that differ from their defaults, with secrets in clear text."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        return str(value) if isinstance(value, Path) else value

    dumped = plain(model.model_dump(exclude_defaults=True))
    return {name: value for name, value in dumped.items() if value not in ({}, None)}


def to_toml(tree: Mapping[str, Any], prefix: str = "") -> str:
    """Nested tables with strings, numbers, booleans and lists of these as TOML; None is left out.

    >>> print(to_toml({"kafka": {"partitions": 4, "topic_prefix": "noc"}}), end="")
    [kafka]
    partitions = 4
    topic_prefix = "noc"
    """
    tables = {name: value for name, value in tree.items() if isinstance(value, Mapping)}
    leaves = {name: value for name, value in tree.items() if name not in tables and value is not None}
    text = f"[{prefix}]\n" if prefix and (leaves or not tables) else ""
    text += "".join(f"{_key(name)} = {_value(value)}\n" for name, value in leaves.items())
    for name, table in tables.items():
        text += to_toml(table, f"{prefix}.{_key(name)}" if prefix else _key(name))
    return text


def _key(name: str) -> str:
    return name if name.replace("_", "a").isalnum() and name.isascii() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # JSON's strings, numbers and booleans are valid TOML, except for one character that JSON does not escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def child_environment(**settings: str) -> dict[str, str]:
    """The environment of a worker or gateway: this process's, but with no settings other than `settings`.

    The launcher has already written the settings from the user's environment to the file. Left in the
    environment, they would override the addresses that the launcher chose.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")}
    return inherited | {f"WATCHFLOOR_{name}": value for name, value in settings.items()}


def keep_loopback_direct() -> None:
    """Exempt loopback from the proxy that the environment names, for this process and its children.

    A proxy for the internet cannot reach servers on loopback; Connect would seem never to answer.
    """
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    exempt = [name for name in listed.split(",") if name.strip()]
    # Both spellings are set: a library that reads both prefers the lower-case one.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join([*exempt, "127.0.0.1", "localhost"])


def server_environment(**more: str) -> dict[str, str]:
    """The environment of PostgreSQL and Java, without variables that would change their configuration."""
    passed = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in passed if name in os.environ} | {"LC_ALL": "C"} | more
