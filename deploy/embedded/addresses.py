"""The ports on which the parts of a stack listen: asked for by the user, kept from the last start, or free.

Owns the choice for one start and the settings that follow from it. A server that the user provides gets no port.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from common.settings.load import Settings
from deploy.embedded.broker import sign_in
from deploy.embedded.connect_worker import USER as CONNECT_USER
from deploy.embedded.options import StackOptions
from deploy.embedded.own_servers import database_at
from deploy.embedded.ports import LOOPBACK, asked_for, choose
from deploy.embedded.state import SavedState


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of one start; None for a server that the user provides."""

    gateway: int
    metrics: tuple[int, ...]
    """One for each worker."""
    admin: int
    """Of the gateway."""
    postgres: int | None
    kafka: int | None
    controller: int | None
    connect: int | None


def choose_addresses(options: StackOptions, base: Settings, saved: SavedState) -> Addresses:
    """Choose the ports and put them into `saved`, so that the next start keeps them.

    Raises:
        WatchfloorError: a port that the user asked for is taken.
    """
    taken: set[int] = set()
    kept = saved.ports

    def port(name: str, option: str | None = None, asked: int | None = None) -> int:
        if asked is not None:
            taken.add(asked_for(asked, option or name))
            kept[name] = asked
        else:
            kept[name] = choose([kept.get(name)], taken)
        return kept[name]

    from_settings = base.gateway.port if "port" in base.gateway.model_fields_set else None
    # The ports that the user asked for come first, so that no other choice takes them.
    gateway = port("gateway", "--gateway-port", options.gateway_port or from_settings)
    metrics = [port("metrics-1", "--metrics-port", options.metrics_port)]
    postgres = None if options.postgres_url else port("postgres", "--postgres-port", options.postgres_port)
    kafka = None if options.kafka else port("kafka", "--kafka-port", options.kafka_port)
    connect = None if options.connect_url else port("connect", "--connect-port", options.connect_port)
    controller = None if options.kafka else port("controller")
    metrics += [port(f"metrics-{number}") for number in range(2, options.workers + 1)]
    return Addresses(gateway, tuple(metrics), port("gateway-admin"), postgres, kafka, controller, connect)


def settings_overrides(
    options: StackOptions,
    base: Settings,
    saved: SavedState,
    addresses: Addresses,
    *,
    embedded_postgres_url: str | None,
    worker_dir: Path,
) -> dict[str, dict[str, Any]]:
    """The settings that the launcher determines, by section."""
    connect: dict[str, Any] = {"url": options.connect_url}
    if addresses.connect is not None:
        connect["url"] = f"http://{LOOPBACK}:{addresses.connect}"
        connect |= {"user": CONNECT_USER, "password": saved.connect_password}
        connect["source_password_reference"] = ""  # it is in the worker's password file
    auth: dict[str, Any] = {}
    if base.auth.algorithm == "HS256" and base.auth.hs256_secret is None:
        auth["hs256_secret"] = saved.hs256_secret
    url = embedded_postgres_url or options.postgres_url or ""
    source = database_at(url, options.postgres_named_by) | {"user": base.source.user, "admin_dsn": url}
    return {
        "kafka": {"bootstrap_servers": options.kafka}
        if addresses.kafka is None
        else sign_in(addresses.kafka, saved.kafka_password),
        "source": source | {"password": _capture_password(base, saved)},
        "connect": connect,
        "worker": {"metrics": {"port": addresses.metrics[0]}, "data_dir": str(worker_dir)},
        "auth": auth,
        "gateway": {
            "port": addresses.gateway,
            "admin": {"port": addresses.admin},
            "health": {
                "worker_urls": [f"http://{LOOPBACK}:{port}" for port in addresses.metrics],
                "connect_url": connect["url"],
            },
        },
    }


def _capture_password(base: Settings, saved: SavedState) -> str:
    given: SecretStr = base.source.password
    return given.get_secret_value() or saved.capture_password
