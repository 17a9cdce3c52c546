"""The worker and gateway as child processes, and the content of `endpoints.json`."""

import sys
from collections.abc import Sequence
from typing import Any

from common.credentials import connect_sign_in
from common.settings.load import Settings
from deploy.embedded.broker import sign_in
from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.config import child_environment
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.state import StateDir


def worker_spec(number: int, metrics_port: int, state: StateDir, options: StackOptions) -> ChildSpec:
    """How to start the `number`-th worker as a child process; the first is named `worker`."""
    name = "worker" if number == 1 else f"worker-{number}"
    return _process(
        name,
        "worker",
        state,
        options,
        stop_rank=20,
        WORKER__METRICS__PORT=str(metrics_port),
        WORKER__DATA_DIR=str(state.root / name),
        WORKER__GROUP__INSTANCE_ID=f"embedded-{number}",
    )


def gateway_spec(state: StateDir, options: StackOptions) -> ChildSpec:
    """How to start the gateway as a child process."""
    return _process("gateway", "gateway", state, options, stop_rank=10)


def _process(
    name: str, command: str, state: StateDir, options: StackOptions, *, stop_rank: int, **settings: str
) -> ChildSpec:
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-m", "watchfloor", "--config", str(state.settings_file), command),
        log=state.log(name),
        stop_rank=stop_rank,
        env=child_environment(**settings),
        stop_timeout_s=options.stop_timeout_s,
        log_bytes_max=options.log_bytes_max,
    )


def endpoints_of(settings: Settings, children: Sequence[Child]) -> dict[str, Any]:
    """The content of `endpoints.json` (contract v1), with the ids of the processes that this stack started.

    The addresses of its own servers say how to sign in there; only the owner can read the file.
    """
    admin = settings.source.admin_dsn
    gateway = f"{LOOPBACK}:{settings.gateway.port}"
    pids: dict[str, Any] = {}
    for child in children:
        kind = child.spec.name.partition("-")[0]
        if kind in ("worker", "gateway"):
            pids.setdefault(kind, []).append(child.pid)
        else:
            pids[kind] = child.pid
    password = settings.kafka.sasl_password if "kafka" in pids else None
    kafka = sign_in(0, password.get_secret_value()) if password else {}
    user = connect_sign_in(settings.connect) if "connect" in pids else None
    return {
        "postgres": admin.get_secret_value() if admin else None,
        "kafka": settings.kafka.bootstrap_servers,
        "kafka_sign_in": {name: value for name, value in kafka.items() if name != "bootstrap_servers"},
        "connect": settings.connect.url.replace("//", "//{}:{}@".format(*user) if user else "//"),
        "gateway": f"http://{gateway}",
        "websocket": f"ws://{gateway}",
        "metrics": {
            "worker": f"http://{LOOPBACK}:{settings.worker.metrics.port}/metrics",
            "gateway": f"http://{LOOPBACK}:{settings.gateway.admin.port}/metrics",
        },
        "pids": pids,
    }
