"""Feed records, bearers and settings for the gateway's tests."""

import time
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from common.settings.auth import AuthSettings
from contracts.feed import AnomalyDetected, RateLimited, SourcePosition, TicketUpdated, record_id
from contracts.findings import Category, Finding, Severity
from gateway.access.bearer import Bearer

SECRET = "a secret of the tests, long enough for every HMAC that a forger might try"
AUTH = AuthSettings(hs256_secret=SecretStr(SECRET))
NOW = 1_760_000_000.0


def instant(seconds: float = NOW) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _common(kind: str, table: str, tenant: int, seq: int, more: dict[str, Any]) -> dict[str, Any]:
    committed = instant(more.pop("committed", NOW))
    return {
        "tenant_id": tenant,
        "seq": seq,
        "id": record_id(table, str(seq), seq, kind),
        "time": committed,
        "epoch": "of the tests",
        "source": SourcePosition(table, str(seq), seq, committed),
        "event_id": f"{table}:{seq}",
        "event_type": table,
        "site_id": 3,
        "client_id": 2,
        "site_name": "Harbour Tower",
    } | more


def anomaly(tenant: int, seq: int, findings: int = 1, **more: Any) -> AnomalyDetected:
    common = _common(
        "anomaly_detected", "attendance", tenant, seq, {"person_id": 17, "person_name": "Valerie Ondo"} | more
    )
    return AnomalyDetected(
        **common,
        findings=[
            Finding(
                id=f"{common['id']}-{index}",
                finding_type=("WRONG_PERSON", "UNAUTHORIZED_SITE")[index % 2],
                category=Category.ATTENDANCE,
                severity=(Severity.HIGH, Severity.CRITICAL)[index % 2],
                title="Somebody else checked in as {person_name}",
                description="At {site_name} person 9 was recognised, not {person_name}.",
                evidence={"person_id": 17, "verified_person_id": 9},
                created_at=common["time"],
                fraud_score=0.9,
            )
            for index in range(findings)
        ],
    )


def ticket(tenant: int, seq: int, **more: Any) -> TicketUpdated:
    description = more.pop("description", "The pump is loud")
    return TicketUpdated(
        **_common("ticket_updated", "ticket", tenant, seq, more),
        ticket_id=seq,
        ticket_no=f"T-{seq}",
        old_status="OPEN",
        new_status="RESOLVED",
        priority="HIGH",
        assigned_to=None,
        description=description,
        updated_at=None,
    )


def limited(tenant: int, seq: int) -> RateLimited:
    common = _common("rate_limited", "attendance", tenant, seq, {"site_id": None, "client_id": None, "site_name": None})
    return RateLimited(**common, dropped=50, window=instant(), limit=100)


def bearer(
    tenant: int = 1,
    *,
    capabilities: tuple[str, ...] = ("noc:view",),
    clients: set[int] | None = None,
    sites: set[int] | None = None,
    expires_at: float | None = None,
    subject: str = "ops",
    issued_at: float = NOW,
    token_id: str | None = None,
) -> Bearer:
    return Bearer(
        subject=subject,
        tenant_id=tenant,
        capabilities=frozenset(capabilities),
        clients=None if clients is None else frozenset(clients),
        sites=None if sites is None else frozenset(sites),
        expires_at=time.time() + 3600 if expires_at is None else expires_at,
        issued_at=issued_at,
        token_id=token_id,
    )
