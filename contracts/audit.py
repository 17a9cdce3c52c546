"""Records of `noc.audit`: sensitive actions, and what was refused (R5.5).

They never hold a token or a part of one; of persons only the user id in the token and the network address.
"""

import msgspec

from contracts.topics import tenant_key

NO_TENANT_KEY = b'{"tenant_id":null}'
"""Of records about somebody who has no tenant, such as a refused handshake."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audit"):
    """An action that was done, or refused."""

    time: str
    """ISO 8601 UTC; of several the time of the last one."""
    gateway: str
    """The process that wrote it."""
    action: str
    """`sign_in`, `refresh`, `subscribe`, `resume`, `flood`, `handshake` or `revoke`; more may be added."""
    allowed: bool
    reason: str
    """Why it was refused, or what was allowed."""
    tenant_id: int | None = None
    subject: str | None = None
    """The token's `sub`; None where no token was accepted."""
    connection: str | None = None
    endpoint: str | None = None
    peer: str | None = None
    """The client's address; behind a proxy of the gateway's trusted ones the address that it names."""
    correlation_id: str | None = None
    """As in the client's error message and in the log."""
    count: int = 1
    """How many of the same kind were refused from the same address since the record before."""


encode_audit = msgspec.json.Encoder().encode
decode_audit = msgspec.json.Decoder(AuditRecord).decode


def audit_key(record: AuditRecord) -> bytes:
    """The record's key: its tenant's, as in every topic."""
    return NO_TENANT_KEY if record.tenant_id is None else tenant_key(record.tenant_id)
