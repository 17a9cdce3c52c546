"""What goes into the audit trail: sensitive actions and refused attempts, without letting anybody flood it.

Pure: values and times in, records out through `publish`. The first refusal of a kind is a record at once; the same
again from the same bearer and address within the window is counted, and the count is a record when it ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.audit import AuditRecord
from gateway.session.effects import Audit
from gateway.session.replies import iso

_REASON_CHARACTERS_MAX = 300
_SUBJECT_CHARACTERS_MAX = 256
_COMMON_KINDS_MAX = 100
_MIXED = "refused for several reasons"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, as far as that is known."""

    connection: str | None = None
    endpoint: str | None = None
    peer: str | None = None
    """The network address that the gateway sees."""
    tenant_id: int | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """What counts as the same refusal."""

    action: str
    reason: str
    tenant_id: int | None
    subject: str | None
    peer: str | None


@dataclass(slots=True)
class _Repeats:
    began: float
    latest: float
    count: int = 0
    """Beside the first one, which has a record."""


class AuditTrail:
    """The audit trail of one gateway.

    Args:
        gateway: the name of this process in the records.
        publish: takes a record; must not wait.
        window_s: how long refusals of a kind are counted together.
        kinds_max: kinds that are kept apart; of further ones only the action and the reason count.
    """

    def __init__(
        self, gateway: str, publish: Callable[[AuditRecord], None], *, window_s: float, kinds_max: int
    ) -> None:
        self._gateway = gateway
        self._publish = publish
        self._window_s = window_s
        self._kinds_max = kinds_max
        self._repeats: dict[_Kind, _Repeats] = {}

    def note(self, what: Audit, who: Actor, now: float) -> None:
        """Something happened; `now` is in seconds since 1970."""
        subject = None if who.subject is None else who.subject[:_SUBJECT_CHARACTERS_MAX]
        kind = _Kind(str(what.action), what.reason[:_REASON_CHARACTERS_MAX], who.tenant_id, subject, who.peer)
        if not what.allowed and self._is_repeat(kind, now):
            return
        self._publish_record(
            kind,
            now,
            allowed=what.allowed,
            connection=who.connection,
            endpoint=who.endpoint,
            correlation_id=what.correlation_id,
        )

    def sweep(self, now: float) -> None:
        """Publish the counts of windows that are over."""
        over = [kind for kind, repeats in self._repeats.items() if now >= repeats.began + self._window_s]
        for kind in over:
            self._publish_count(kind, self._repeats.pop(kind))

    def close(self) -> None:
        """Publish all counts: the gateway stops."""
        for kind, repeats in self._repeats.items():
            self._publish_count(kind, repeats)
        self._repeats.clear()

    def _is_repeat(self, kind: _Kind, now: float) -> bool:
        found = self._repeats.get(kind)
        if found is None and len(self._repeats) >= self._kinds_max:
            # Whoever comes from ten thousand addresses is one line: the number of kinds that are left is small.
            many = len(self._repeats) >= self._kinds_max + _COMMON_KINDS_MAX
            kind = _Kind(kind.action, _MIXED if many else kind.reason, None, None, None)
            found = self._repeats.get(kind)
        if found is not None and now >= found.began + self._window_s:
            self._publish_count(kind, self._repeats.pop(kind))
            found = None
        if found is None:
            self._repeats[kind] = _Repeats(now, now)
            return False
        found.count += 1
        found.latest = now
        return True

    def _publish_count(self, kind: _Kind, repeats: _Repeats) -> None:
        if repeats.count:
            self._publish_record(kind, repeats.latest, allowed=False, count=repeats.count)

    def _publish_record(self, kind: _Kind, at: float, **more: Any) -> None:
        self._publish(
            AuditRecord(
                time=iso(at),
                gateway=self._gateway,
                action=kind.action,
                reason=kind.reason,
                tenant_id=kind.tenant_id,
                subject=kind.subject,
                peer=kind.peer,
                **more,
            )
        )
