"""Reads the settings of a process, and says in one line what is wrong with them.

Values come from (strongest first) keyword arguments, environment variables
(`WATCHFLOOR_<SECTION>__<GROUP>__<NAME>`), and a TOML file (`--config`, or `WATCHFLOOR_CONFIG`).
A name that no setting has is refused: a misspelt limit must not silently be the default.
"""

import contextlib
import difflib
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from common.errors import SettingsError
from common.settings.auth import AuthSettings
from common.settings.connect import ConnectSettings
from common.settings.gateway import GatewaySettings
from common.settings.kafka import KafkaSettings
from common.settings.log import LogSettings
from common.settings.renamed import RENAMED
from common.settings.source import SourceSettings
from common.settings.worker import WorkerSettings

ENV_PREFIX = "WATCHFLOOR_"
GENERATED = "# Written by `watchfloor up`"
"""How a file begins that the launcher wrote. Nobody can be asked to correct it, so old names in it count as new ones."""
# Read by the launcher scripts, not settings of a process.
_OTHER_VARIABLES = frozenset({"WATCHFLOOR_CONFIG", "WATCHFLOOR_VENV", "WATCHFLOOR_STATE_DIR", "WATCHFLOOR_CACHE_DIR"})


class Settings(BaseSettings):
    """All sections. Build it with `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    source: SourceSettings = SourceSettings()
    connect: ConnectSettings = ConnectSettings()
    worker: WorkerSettings = WorkerSettings()
    auth: AuthSettings = AuthSettings()
    gateway: GatewaySettings = GatewaySettings()
    log: LogSettings = LogSettings()


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        config: a TOML file; where it is None the file that `WATCHFLOOR_CONFIG` names, if any.
        environ: the environment; where it is None that of the process.

    Raises:
        SettingsError: a name is unknown or is not used any more, a value is out of range, or the file cannot be read.
    """
    environment = os.environ if environ is None else environ
    if config is None and environment.get("WATCHFLOOR_CONFIG"):
        config = Path(environment["WATCHFLOOR_CONFIG"])
    for variable in sorted(environment):
        if variable.startswith(ENV_PREFIX) and variable not in _OTHER_VARIABLES:
            _refuse_unknown(_tree_of(variable, environment[variable]), "the environment", _variable)
    from_file = {} if config is None else _read(config)
    _refuse_unknown(from_file, str(config), str)

    class FromHere(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by `environment`
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            variables = EnvSettingsSource(settings_cls)
            variables.env_vars = {name.lower(): value for name, value in environment.items()}
            return (variables, init_settings)

    try:
        return FromHere(**from_file)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"unknown setting {name}", "see docs/settings.md for the names") from error
        raise SettingsError(f"setting {name}: {first['msg']}", "correct it in the file or the environment") from error
    except ValueError as error:
        raise SettingsError(f"the environment cannot be read ({error})", "correct the variable") from error


def setting_names(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting, such as `worker.changelog.interval_ms`."""
    for name in section.model_fields:
        group = group_of(section, name)
        yield from [f"{prefix}{name}"] if group is None else setting_names(group, f"{prefix}{name}.")


def group_of(section: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The class of a field that is a group of settings; None for a single setting, or where there is none."""
    field = section.model_fields.get(name)
    kind = None if field is None else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _read(config: Path) -> dict[str, Any]:
    if not config.is_file():
        raise SettingsError(f"the configuration file {config} is missing", "name an existing file with --config")
    try:
        text = config.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the configuration {config} cannot be read ({error})", "correct the file") from error
    if text.startswith(GENERATED):
        _rename(tree)
    return tree


def _rename(tree: dict[str, Any]) -> None:
    for old, new in RENAMED.items():
        section, name = old.split(".")
        _, group, setting = new.split(".")
        values = tree.get(section, {})
        if name in values and not isinstance(values[name], Mapping):
            value = values.pop(name)
            values.setdefault(group, {})[setting] = value


def _tree_of(variable: str, text: str) -> dict[str, Any]:
    """What one variable sets; a whole group may be one as JSON."""
    value: Any = text
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):  # refused where it is read as a value
            value = json.loads(text)
    first, *names = variable.removeprefix(ENV_PREFIX).lower().split("__")
    for name in reversed(names):
        value = {name: value}
    return {first: value}


def _variable(name: str) -> str:
    return ENV_PREFIX + name.upper().replace(".", "__")


def _refuse_unknown(tree: Mapping[str, Any], where: str, spelt: Callable[[str], str]) -> None:
    """Raise for names that no setting has.

    Args:
        tree: names to values.
        where: the values come from.
        spelt: how a dotted name is written there.
    """
    unknown = list(_unknown(tree, Settings))
    if renamed := [name for name in unknown if name in RENAMED]:
        said = ", ".join(f"setting {spelt(name)} is now {spelt(RENAMED[name])}" for name in renamed)
        raise SettingsError(said, f"rename {'it' if len(renamed) == 1 else 'them'} in {where}")
    for name in unknown:
        near = difflib.get_close_matches(name, setting_names(), n=1)
        advice = (
            f"did you mean {spelt(near[0])}? docs/settings.md has all names"
            if near
            else "docs/settings.md has the names"
        )
        raise SettingsError(f"unknown setting {spelt(name)} in {where}", advice)


def _unknown(tree: Mapping[str, Any], section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted names in a tree that no setting has; of a group that does not exist, each of its names."""
    for name, value in tree.items():
        dotted, group, is_table = f"{prefix}{name}", group_of(section, name), isinstance(value, Mapping)
        known = name in section.model_fields
        if is_table and value and (group is not None or not known):
            yield from _unknown(value, group or BaseModel, f"{dotted}.")
        elif not known or (dotted in RENAMED and not is_table):
            yield dotted
