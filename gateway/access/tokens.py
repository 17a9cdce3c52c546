"""Who a token says its bearer is: verification of JWTs, and minting of development ones.

Owns the claims, the capabilities and the mapping of a bad token to a close code. Never touches a
socket and never logs a token. Keys of an identity provider come from `gateway.access.jwks`.

Claims: `sub` (str), `tenant_id` (int), `capabilities` (list of str), `clients` and `sites` (lists of int,
optional), `iss`, `aud`, `iat`, `exp`, `nbf` and `jti` (optional). What they show is decided by `_limits` and nowhere
else; it fails closed.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Protocol

import jwt
import msgspec
from msgspec import Meta

from common.errors import SettingsError
from common.settings.auth import AuthSettings
from contracts.messages import CloseCode
from contracts.revocations import SUBJECT_CHARACTERS_MAX
from gateway.access.token_form import form_problem

SECRET_BYTES_MIN = 32
_SHARED_MAX = 256
_REQUIRED = ["sub", "iss", "aud", "iat", "exp"]
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
    """The token does not open the door.

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
    """A verified bearer.

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


class Keys(Protocol):
    """Where public keys come from."""

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """The key that `kid` names; raises AccessRefusedError where there is none."""
        ...


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
    capabilities: list[str] = []
    clients: list[_Id] | None = None
    sites: list[_Id] | None = None


class TokenVerifier:
    """Turns tokens into identities.

    Args:
        auth: the settings; the algorithm is pinned there, a token cannot choose it.
        keys: the identity provider's keys; needed for RS256 and ES256 only.

    Raises:
        SettingsError: there is no usable secret or no source of keys for the algorithm.
    """

    def __init__(self, auth: AuthSettings, keys: Keys | None = None) -> None:
        self._auth = auth
        self._keys = keys
        self._secret = _secret(auth) if auth.algorithm == "HS256" else None
        if self._secret is None and keys is None:
            raise SettingsError(
                f"auth.algorithm is {auth.algorithm} and auth.jwks_url is not set",
                "set auth.jwks_url to the identity provider's key set",
            )

    async def verify(self, token: str) -> Bearer:
        """The identity of a token's bearer.

        Raises:
            AccessRefusedError: with 4401 where the token is malformed, forged, expired or for somebody
                else, or lives longer than is allowed; with 4403 where it names no tenant or lacks `noc:view`.
        """
        wrong = form_problem(token, self._auth.token_bytes_max)
        if wrong is not None:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, wrong)
        try:
            key: Any = self._secret
            if self._keys is not None and self._auth.algorithm != "HS256":
                key = await self._public_key(self._keys, token)
            payload = jwt.decode(
                token,
                key,
                algorithms=[self._auth.algorithm],
                audience=self._auth.audience,
                issuer=self._auth.issuer,
                leeway=self._auth.clock_skew_s,
                options={"require": _REQUIRED},
            )
            claims = msgspec.convert(payload, _Claims)
        except jwt.ExpiredSignatureError as error:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token has expired") from error
        except jwt.PyJWTError as error:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, f"the token is not valid ({_kind(error)})") from error
        except msgspec.ValidationError as error:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "a claim of the token has a wrong type") from error
        if claims.exp - claims.iat > self._auth.token_lifetime_s_max:
            # A revocation is remembered for as long as a token may live, so one that lives longer would outlive it.
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token lives longer than this gateway allows")
        return _identity(claims, self._auth.clock_skew_s)

    async def _public_key(self, keys: Keys, token: str) -> jwt.PyJWK:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != self._auth.algorithm:  # before the key set is asked: a forger costs no fetch
            raise jwt.InvalidAlgorithmError
        kid = header.get("kid")
        return await keys.key(kid if isinstance(kid, str) else None)


def mint_token(
    auth: AuthSettings,
    *,
    tenant_id: int | None,
    user: str,
    capabilities: Sequence[str],
    clients: Sequence[int] | None = None,
    sites: Sequence[int] | None = None,
    lifetime_s: int = 12 * 3600,
) -> str:
    """A development token, signed with the shared secret.

    Args:
        auth: the settings of the gateway that shall accept it.
        tenant_id: the tenant; None makes a token without one, which the gateway refuses.
        user: who acts, the `sub` claim.
        capabilities: such as `noc:view`.
        clients: the clients that the bearer may see; None leaves the claim out, which with `sites` left out
            too shows no client's records unless `noc:view_all_clients` is among the capabilities.
        sites: the sites that the bearer may see; None leaves the claim out.
        lifetime_s: seconds until it expires; not positive makes an expired one.

    Raises:
        SettingsError: the gateway takes its tokens from an identity provider, there is no secret, or the token
            would live longer than is allowed.
    """
    if auth.algorithm != "HS256":
        raise SettingsError(
            f"auth.algorithm is {auth.algorithm}: tokens come from your identity provider",
            "ask it for one, or set auth.algorithm to HS256 for development",
        )
    if lifetime_s > auth.token_lifetime_s_max:
        raise SettingsError(
            f"a token lives at most {auth.token_lifetime_s_max / 3600:g} hours here (auth.token_lifetime_s_max)",
            "ask for a shorter life",
        )
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": user,
        "capabilities": list(capabilities),
        "iss": auth.issuer,
        "aud": auth.audience,
        "iat": now,
        "exp": now + lifetime_s,
        "jti": secrets.token_hex(16),
    }
    if tenant_id is not None:
        claims["tenant_id"] = tenant_id
    if clients is not None:
        claims["clients"] = list(clients)
    if sites is not None:
        claims["sites"] = list(sites)
    return jwt.encode(claims, _secret(auth), algorithm="HS256")


def _identity(claims: _Claims, clock_skew_s: int) -> Bearer:
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
        expires_at=claims.exp + clock_skew_s,
        issued_at=claims.iat,
        token_id=claims.jti,
    )


@lru_cache(maxsize=_SHARED_MAX)
def _shared(capabilities: frozenset[str]) -> frozenset[str]:
    """The same set for all who may do the same: thousands of equal ones are a good part of idle connections' memory."""
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


def _secret(auth: AuthSettings) -> str:
    secret = auth.hs256_secret.get_secret_value() if auth.hs256_secret else ""
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise SettingsError(
            f"auth.hs256_secret is missing or shorter than {SECRET_BYTES_MIN} bytes",
            "set it to a long random text, for example from `openssl rand -hex 32`",
        )
    return secret


def _kind(error: jwt.PyJWTError) -> str:
    # The class name says what is wrong; the message may quote the token.
    return type(error).__name__.removesuffix("Error")
