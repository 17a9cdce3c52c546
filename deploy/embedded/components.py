"""The worker and gateway as child processes, and the content of `endpoints.json`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from common.settings.load import Settings
from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.config import child_environment
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.state import StateDir

_READY_TIMEOUT_S = 2


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


def answers_ready(port: int) -> bool:
    """Whether `/readyz` of a process on this machine answers with 200."""
    try:
        # Ignores the environment, because a proxy for the internet cannot reach this machine's loopback.
        return (
            httpx.get(f"http://{LOOPBACK}:{port}/readyz", timeout=_READY_TIMEOUT_S, trust_env=False).status_code
            == httpx.codes.OK
        )
    except httpx.HTTPError:
        return False


def endpoints_of(settings: Settings, children: Sequence[Child]) -> dict[str, Any]:
    """The content of `endpoints.json` (contract v1), with the ids of the processes that this stack started."""
    admin = settings.source.admin_dsn
    gateway = f"{LOOPBACK}:{settings.gateway.port}"
    pids: dict[str, Any] = {}
    for child in children:
        kind = child.spec.name.partition("-")[0]
        if kind in ("worker", "gateway"):
            pids.setdefault(kind, []).append(child.pid)
        else:
            pids[kind] = child.pid
    return {
        "postgres": admin.get_secret_value() if admin else None,
        "kafka": settings.kafka.bootstrap_servers,
        "connect": settings.connect.url,
        "gateway": f"http://{gateway}",
        "websocket": f"ws://{gateway}",
        "metrics": {
            "worker": f"http://{LOOPBACK}:{settings.worker.metrics.port}/metrics",
            "gateway": f"http://{LOOPBACK}:{settings.gateway.admin.port}/metrics",
        },
        "pids": pids,
    }


def write_secrets(path: Path, name: str, value: str) -> None:
    """Write the properties file from which Connect's file provider reads the password."""
    from deploy.embedded.properties import java_properties
    from deploy.embedded.state import write_private

    write_private(path, java_properties("", {name: value}))
