"""The settings and addresses of the stack on this machine, for the commands that use one.

Owns reading a state directory. Never starts, stops or writes anything.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from common.errors import WatchfloorError
from common.paths import CONFIG_FILE, ENDPOINTS_FILE, default_state_dir
from common.settings.load import Settings, load_settings


class Endpoints(msgspec.Struct, frozen=True):
    """`endpoints.json` of contract v1: the addresses of a running stack."""

    postgres: str
    kafka: str
    connect: str
    gateway: str
    websocket: str
    metrics: dict[str, str]
    pids: Mapping[str, Any] = {}


def find_settings(config: Path | None, state_dir: Path | None) -> Settings:
    """The settings of a state directory if one is given, otherwise of `--config`, otherwise of the default directory.

    Raises:
        WatchfloorError: the directory has no stack, or none of the three exists.
        SettingsError: the settings that were found are wrong.
    """
    if state_dir is None and config is not None:
        return load_settings(config)
    where = state_dir or default_state_dir()
    file = where / CONFIG_FILE
    if not file.is_file():
        raise WatchfloorError(
            f"there is no stack in {where}",
            "start one with `watchfloor up`, or give its directory with --state-dir (or a file with --config)",
        )
    return load_settings(file)


def read_endpoints(state_dir: Path) -> Endpoints | None:
    """The addresses of the running stack of this directory; None if none is ready.

    Raises:
        WatchfloorError: the file cannot be read.
    """
    file = state_dir / ENDPOINTS_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Endpoints)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise WatchfloorError(f"{file} cannot be read ({error})", "stop the stack and start it again") from error


def gateway_addresses(settings: Settings) -> tuple[str, str]:
    """The HTTP and the WebSocket address of the gateway with these settings on this machine.

    >>> gateway_addresses(Settings())
    ('http://127.0.0.1:8080', 'ws://127.0.0.1:8080')
    """
    gateway = settings.gateway
    where = f"{reachable_host(gateway.host)}:{gateway.port}"
    secure = "s" if gateway.tls.certificate_file else ""
    return f"http{secure}://{where}", f"ws{secure}://{where}"


def reachable_host(host: str) -> str:
    """The host by which a process that listens on this address is reached from this machine, as part of a URL.

    >>> reachable_host("0.0.0.0"), reachable_host("::"), reachable_host("10.1.2.3")
    ('127.0.0.1', '[::1]', '10.1.2.3')
    """
    if host in ("", "0.0.0.0"):
        return "127.0.0.1"
    return "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
