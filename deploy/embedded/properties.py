"""Generates configuration files from a shared file of `deploy/config` and what is specific to this machine.

Docker compose mounts the same shared files; only addresses, paths and replication factors are added here.
Owns the two file formats, not their content.
"""

from collections.abc import Mapping
from importlib.resources import files

_GENERATED = "# Generated at each start from deploy/config and this machine's addresses; edits are lost.\n"


def shared_text(name: str) -> str:
    """The text of a file of `deploy/config`."""
    return files("deploy.config").joinpath(name).read_text("utf-8")


def java_properties(shared: str, overrides: Mapping[str, str]) -> str:
    """A `.properties` file: the shared text, then the overrides; the last value of a name counts."""
    lines = [f"{name}={_escaped(value)}" for name, value in overrides.items()]
    return "\n".join([_GENERATED + shared, *lines, ""])


def postgresql_conf(shared: str, overrides: Mapping[str, str]) -> str:
    """A `postgresql.conf`: the shared text, then the overrides as quoted strings."""
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in overrides.items()]
    return "\n".join([_GENERATED + shared, *lines, ""])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
