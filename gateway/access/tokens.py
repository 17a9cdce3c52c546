"""Verification of JWTs, and minting of development ones.

Owns what a token must look like, whether it is genuine, and the close code of one that is not. Never touches a socket
and never logs a token. What its claims mean is decided by `gateway.access.bearer`; the keys of an identity provider
come from `gateway.access.jwks`.
"""

import base64
import json
import secrets
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import jwt

from common.errors import SettingsError
from common.settings.auth import AuthSettings
from contracts.messages import CloseCode
from gateway.access.bearer import AccessRefusedError, Bearer, bearer_of
from gateway.access.jwks import JwksKeys

SECRET_BYTES_MIN = 32
_PARTS = 3
_REQUIRED = ["sub", "iss", "aud", "iat", "exp"]


class TokenVerifier:
    """Turns tokens into bearers.

    Args:
        auth: the settings; the algorithm is pinned there, a token cannot choose it.
        keys: the identity provider's keys; needed for RS256 and ES256 only.

    Raises:
        SettingsError: there is no usable secret or no source of keys for the algorithm.
    """

    def __init__(self, auth: AuthSettings, keys: JwksKeys | None = None) -> None:
        self._auth = auth
        self._keys = keys
        self._secret = _secret(auth) if auth.algorithm == "HS256" else None
        if self._secret is None and keys is None:
            raise SettingsError(
                f"auth.algorithm is {auth.algorithm} and auth.jwks_url is not set",
                "set auth.jwks_url to the identity provider's key set",
            )

    async def verify(self, token: str) -> Bearer:
        """The bearer of a token.

        Raises:
            AccessRefusedError: with 4401 where the token is malformed, forged, expired or for another audience, or
                lives longer than is allowed; with 4403 where it names no tenant or lacks `noc:view`.
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
        except jwt.ExpiredSignatureError as error:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token has expired") from error
        except jwt.PyJWTError as error:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, f"the token is not valid ({_kind(error)})") from error
        return bearer_of(payload, self._auth)

    async def _public_key(self, keys: JwksKeys, token: str) -> jwt.PyJWK:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != self._auth.algorithm:  # before the key set is fetched: a forger must not cause one
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
        user: the `sub` claim.
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
    limits = {"tenant_id": tenant_id, "clients": clients, "sites": sites}
    claims |= {name: limit for name, limit in limits.items() if limit is not None}
    return jwt.encode(claims, _secret(auth), algorithm="HS256")


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


def form_problem(token: str, bytes_max: int) -> str | None:
    """What is wrong with a token's form, before a key is fetched for it; None where nothing is.

    Strict where JSON is lenient: a claim that is there twice means one thing to this reader and another to the next,
    and NaN is neither above nor below any limit.

    Args:
        token: as it came.
        bytes_max: a longer one is not looked at.

    Returns:
        a sentence without a part of the token.

    >>> form_problem("a.b", 100)
    'this is not a token'
    """
    if len(token) > bytes_max:
        return f"a token has at most {bytes_max} characters"
    parts = token.split(".") if token.isascii() else []
    if len(parts) != _PARTS:
        return "this is not a token"
    try:
        for part in parts[:2]:
            content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
            found = json.loads(content, object_pairs_hook=_each_once, parse_constant=_no_number)
            # A lone surrogate, in whichever claim and however deep, can be written nowhere: not into a log, not to Kafka.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return "the token is not valid (its JSON)"
    return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
