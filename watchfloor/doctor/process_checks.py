"""Checks of the worker, the gateway, a sign-in at the gateway, and the machine that they run on."""

import asyncio
import shutil
from contextlib import aclosing
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from common.errors import WatchfloorError
from gateway.access.bearer import Capability
from gateway.access.exposure import exposed
from gateway.access.tokens import mint_token
from watchfloor.doctor.checks import Report, Target
from watchfloor.local_stack import gateway_addresses, reachable_host
from watchfloor_client import Connected, Disconnected, Feed, FeedError, FeedOptions

_LAG_RECORDS_MAX = 10_000
_FREE_MIB_MIN = 512
_HTTP_OK = 200


async def probe_worker(target: Target, report: Report) -> None:
    """Check that the worker answers, processes its partitions and keeps up."""
    worker = target.settings.worker
    fallback = f"http://{reachable_host(worker.metrics.host)}:{worker.metrics.port}/metrics"
    url = target.endpoints.metrics.get("worker", fallback) if target.endpoints else fallback
    status, text = await _get(url, target.timeout_s)
    if status != _HTTP_OK:
        report.problem("metrics", f"no worker answers at {url} ({text.strip()})", _restart(target, "worker"))
        report.unknown("not reachable", "ready", "lag")
        return
    report.ok("metrics", url)
    ready, _ = await _get(url.removesuffix("/metrics") + "/readyz", target.timeout_s)
    if ready == _HTTP_OK:
        report.ok("ready", "its partitions are recovered and processed")
    else:
        report.problem("ready", "it does not process its partitions", "wait a moment, then read the worker's log")
    lag = sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "watchfloor_worker_lag_records"
    )
    if lag > _LAG_RECORDS_MAX:
        report.problem("lag", f"{lag:.0f} records behind", "start another worker, up to one for each partition")
    else:
        report.ok("lag", f"{lag:.0f} records behind")


async def probe_gateway(target: Target, report: Report) -> None:
    """Check that the gateway is safe where it listens, answers, has caught up, and that a token opens a WebSocket."""
    _exposure(target, report)
    base = (target.endpoints.gateway if target.endpoints else gateway_addresses(target.settings)[0]).rstrip("/")
    healthy, text = await _get(f"{base}/healthz", target.timeout_s)
    if healthy != _HTTP_OK:
        report.problem("alive", f"no gateway answers at {base} ({text.strip()})", _restart(target, "gateway"))
        report.unknown("not reachable", "ready", "sign-in")
        return
    report.ok("alive", base)
    ready, _ = await _get(f"{base}/readyz", target.timeout_s)
    if ready == _HTTP_OK:
        report.ok("ready", "caught up with the feed")
    else:
        report.problem("ready", "not caught up with the feed", "check Kafka, then read the gateway's log")
    await _sign_in(target, report)


def _exposure(target: Target, report: Report) -> None:
    found = " and ".join(exposed(target.settings))
    host = target.settings.gateway.host
    if not found:
        report.ok("safe to reach", f"listens at {host}")
    elif target.settings.gateway.allow_insecure:
        report.ok("safe to reach", f"no: at {host} {found}; gateway.allow_insecure insists")
    else:
        advice = "correct that, listen on loopback, or insist with gateway.allow_insecure = true"
        report.problem("safe to reach", f"it does not start: at {host} {found}", advice)


async def _sign_in(target: Target, report: Report) -> None:
    settings = target.settings
    if settings.auth.algorithm != "HS256":
        report.unknown("tokens come from your identity provider: try one with `watchfloor tail`", "sign-in")
        return
    url = target.endpoints.websocket if target.endpoints else gateway_addresses(settings)[1]
    advice = "the gateway runs with other auth settings than these: restart it"
    try:
        token = mint_token(settings.auth, tenant_id=1, user="doctor", capabilities=[Capability.VIEW], lifetime_s=60)
        # The address comes from the user's own settings, so a token that lives for a minute may be sent there over ws://.
        feed = Feed(FeedOptions(url, lambda: token, allow_plaintext=True))
        async with aclosing(feed.events()) as events:
            async for event in events:
                if isinstance(event, Connected):
                    report.ok("sign-in", f"{url}, tenant 1 is at message {event.seq}")
                    return
                if isinstance(event, Disconnected):
                    report.problem("sign-in", f"refused: {event.reason}", advice)
                    return
    except WatchfloorError as failure:
        report.failed("sign-in", failure)
    except FeedError as failure:
        report.problem("sign-in", failure.problem, failure.advice)


async def probe_machine(target: Target, report: Report) -> None:
    """Check the processes and the free disk space of a stack on this machine."""
    if target.state_dir is None:
        return
    if target.endpoints is None:
        report.problem(
            "running", f"no stack is ready in {target.state_dir}", "start it with `watchfloor up` or `watchfloor demo`"
        )
    else:
        gone = sorted(_gone(target.endpoints.pids))
        if gone:
            report.problem(
                "running", f"not running: {', '.join(gone)}", "the stack restarts it; if that fails, read its log"
            )
        else:
            report.ok("running", f"stack in {target.state_dir}")
    free_mib = await asyncio.to_thread(_free_mib, target.state_dir)
    if free_mib < _FREE_MIB_MIN:
        report.problem(
            "disk",
            f"{free_mib} MiB free below {target.state_dir}",
            "free space: Kafka and PostgreSQL stop when it is full",
        )
    else:
        report.ok("disk", f"{free_mib} MiB free")


def _gone(pids: object) -> list[str]:
    if not isinstance(pids, dict):
        return []
    flat = {name: value if isinstance(value, list) else [value] for name, value in pids.items()}
    return [name for name, numbers in flat.items() if not all(psutil.pid_exists(number) for number in numbers)]


def _free_mib(state_dir: Path) -> int:
    return shutil.disk_usage(state_dir).free >> 20


async def _get(url: str, timeout_s: float) -> tuple[int, str]:
    """The status and the body; 0 and the reason if nothing answers."""
    try:
        # trust_env: the processes of a stack are not reached through a proxy of the environment.
        async with httpx.AsyncClient(timeout=timeout_s * 0.4, trust_env=False) as client:
            answer = await client.get(url)
    except httpx.HTTPError as error:
        return 0, str(error) or type(error).__name__
    return answer.status_code, answer.text


def _restart(target: Target, name: str) -> str:
    if target.state_dir is None:
        return f"start it with `watchfloor {name}`, or correct the address in the settings"
    return f"start the stack with `watchfloor up`; if it runs, read {target.state_dir}/logs/{name}*.log"
