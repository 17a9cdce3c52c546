"""The bearer of a verified token, and what the bearer may see and do.

Owns the capabilities and what the claims mean; `_limits` alone decides which clients and sites they show, and it fails
closed. Pure. That a token is genuine is checked by `gateway.access.tokens`.

Claims: `sub` (str), `tenant_id` (int), `capabilities` (list of str), `clients` and `sites` (lists of int, optional),
`iat`, `exp`, `nbf` and `jti` (optional).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any
from unicodedata import category

import msgspec
from msgspec import Meta

from common.settings.auth import AuthSettings
from contracts.messages import CloseCode
from contracts.revocations import SUBJECT_CHARACTERS_MAX

_SHARED_MAX = 256
_CAPABILITIES_MAX = 100
_EXPIRES_MAX = 253_370_764_800.0
"""The year 9999 in seconds since 1970: what lies behind it is no date."""


class Capability(StrEnum):
    """What a bearer may do (R5.3)."""

    VIEW = "noc:view"
    VIEW_ALL_CLIENTS = "noc:view_all_clients"
    VIEW_PII = "noc:view_pii"
    ACK_ALERTS = "noc:ack_alerts"
    ASSIGN_INCIDENTS = "noc:assign_incidents"
    CONFIGURE_ALERTS = "noc:configure_alerts"
    VIEW_AUDIT_LOGS = "noc:view_audit_logs"


class AccessRefusedError(Exception):
    """The token gives no access.

    Args:
        code: the close code that tells the client what to do.
        reason: for the client and the log; never holds a part of the token.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Bearer:
    """The claims of a verified token.

    `clients` and `sites` are None where they do not limit what is seen, empty where nothing passes; a record
    must pass both.
    """

    subject: str
    tenant_id: int
    capabilities: frozenset[str]
    clients: frozenset[int] | None
    sites: frozenset[int] | None
    expires_at: float
    """Seconds since 1970, the allowed clock skew included."""
    issued_at: float = 0.0
    """Seconds since 1970, as the token says."""
    token_id: str | None = None
    """The token's `jti`."""

    def may(self, capability: Capability) -> bool:
        """Whether the bearer has a capability."""
        return capability in self.capabilities


_UNPRINTABLE = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# What the database's bigint holds and a key can be. `True` is no number here, nor is 1.0.
_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]


# What a revocation can name.
_Name = Annotated[str, Meta(min_length=1, max_length=SUBJECT_CHARACTERS_MAX)]


class _Claims(msgspec.Struct):
    sub: _Name
    iat: float
    exp: float
    nbf: float | None = None
    jti: _Name | None = None
    tenant_id: _Id | None = None
    capabilities: Annotated[list[_Name], Meta(max_length=_CAPABILITIES_MAX)] = []
    clients: list[_Id] | None = None
    sites: list[_Id] | None = None


def bearer_of(payload: Mapping[str, Any], auth: AuthSettings) -> Bearer:
    """The bearer of a token whose signature, issuer, audience and times were checked, by its claims.

    Raises:
        AccessRefusedError: with 4401 where a claim is wrong or the token lives longer than is allowed; with 4403
            where it names no tenant or lacks `noc:view`.
    """
    try:
        claims = msgspec.convert(payload, _Claims)
    except msgspec.ValidationError as error:
        raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "a claim of the token has a wrong type") from error
    if not all(map(is_plain, (claims.sub, claims.jti or "", *claims.capabilities))):
        raise AccessRefusedError(
            CloseCode.NOT_AUTHENTICATED, "a claim of the token has a character that is not allowed"
        )
    if claims.exp - claims.iat > auth.token_lifetime_s_max:
        # A revocation is remembered for as long as a token may live, so one that lives longer would outlive it.
        raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token lives longer than this gateway allows")
    if claims.tenant_id is None:
        raise AccessRefusedError(CloseCode.FORBIDDEN, "the token names no tenant")
    capabilities = _shared(frozenset(claims.capabilities))
    if Capability.VIEW not in capabilities:
        raise AccessRefusedError(CloseCode.FORBIDDEN, f"the token lacks {Capability.VIEW}")
    if not claims.exp < _EXPIRES_MAX:
        raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "a claim of the token has a wrong value")
    clients, sites = _limits(claims, capabilities)
    return Bearer(
        subject=claims.sub,
        tenant_id=claims.tenant_id,
        capabilities=capabilities,
        clients=clients,
        sites=sites,
        expires_at=claims.exp + auth.clock_skew_s,
        issued_at=claims.iat,
        token_id=claims.jti,
    )


def is_plain(text: str) -> bool:
    r"""Whether a text can be encoded, and shown without changing what is written around it.

    Surrogates, control characters, line separators and directional overrides are none of a name's.

    >>> is_plain("Zoë O'Hara"), is_plain("ops\n"), is_plain("\ud800"), is_plain("\u202espo")
    (True, False, False, False)
    """
    return (text.isascii() and text.isprintable()) or not any(
        letter in _DIRECTIONS or category(letter) in _UNPRINTABLE for letter in text
    )


@lru_cache(maxsize=_SHARED_MAX)
def _shared(capabilities: frozenset[str]) -> frozenset[str]:
    """One set for all with the same capabilities: thousands of equal ones are a good part of idle connections' memory."""
    return capabilities


def _limits(claims: _Claims, capabilities: frozenset[str]) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """The clients and the sites that a bearer is limited to; None is no limit."""
    sites = None if claims.sites is None else frozenset(claims.sites)
    if Capability.VIEW_ALL_CLIENTS in capabilities:
        return None, sites
    if claims.clients is not None:
        return frozenset(claims.clients), sites
    # Named sites are a limit of their own. With neither, an identity provider that forgot a claim must not
    # open every client: such a bearer gets what concerns the whole tenant only.
    return (None if sites is not None else frozenset()), sites
