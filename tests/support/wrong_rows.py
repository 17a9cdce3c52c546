"""Sites and policies, a worker that looks at the quality of rows, and what it said of them."""

import json
from typing import Any

from support.changes import Worker, change

from contracts.envelope import Change
from detectors.registry import named


def worker(*detectors: str, **more: Any) -> Worker:
    return Worker(detectors=named(["data_quality", *detectors]), **more)


def reported(records: list[Any]) -> list[tuple[str, Any]]:
    return [(f.finding_type, f.evidence.get("reason")) for record in records for f in record.findings]


def site(lsn: int = 50, op: str | None = None, **more: Any) -> Change:
    return change("site", {"id": 4, "tenant_id": 1, "latitude": 48.0, "longitude": 11.0} | more, lsn=lsn, op=op)


def policy(settings: dict[str, Any], lsn: int) -> Change:
    return change(
        "policy", {"id": 1, "tenant_id": 1, "detector": "data_quality", "settings": json.dumps(settings)}, lsn=lsn
    )
