"""What the small commands know of the stack on this machine: its settings and its addresses.

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
    """`endpoints.json` of contract v1: the addresses of a stack that is ready."""

    postgres: str
    kafka: str
    connect: str
    gateway: str
    websocket: str
    metrics: dict[str, str]
    pids: Mapping[str, Any] = {}


def find_settings(config: Path | None, state_dir: Path | None) -> Settings:
    """The settings of a state directory where one is named, else of `--config`, else of the default directory.

    Raises:
        WatchfloorError: the directory holds no stack, or there is none of the three.
        SettingsError: what was found is wrong.
    """
    if state_dir is None and config is not None:
        return load_settings(config)
    where = state_dir or default_state_dir()
    file = where / CONFIG_FILE
    if not file.is_file():
        raise WatchfloorError(
            f"there is no stack in {where}",
            "start one with `watchfloor up`, or name its directory with --state-dir (or a file with --config)",
        )
    return load_settings(file)


def read_endpoints(state_dir: Path) -> Endpoints | None:
    """The addresses of the running stack of this directory; None where none is ready.

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
    """Where the gateway of these settings answers on this machine: its HTTP and its WebSocket address.

    >>> gateway_addresses(Settings())
    ('http://127.0.0.1:8080', 'ws://127.0.0.1:8080')
    """
    gateway = settings.gateway
    where = f"{reachable_host(gateway.host)}:{gateway.port}"
    return (
        (f"https://{where}", f"wss://{where}") if gateway.tls.certificate_file else (f"http://{where}", f"ws://{where}")
    )


def reachable_host(host: str) -> str:
    """Where a process that listens at this address is reached from this machine, as part of a URL.

    >>> reachable_host("0.0.0.0"), reachable_host("::"), reachable_host("10.1.2.3")
    ('127.0.0.1', '[::1]', '10.1.2.3')
    """
    if host in ("", "0.0.0.0"):
        return "127.0.0.1"
    return "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
