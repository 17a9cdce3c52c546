"""The identity provider's public keys: fetched, cached, and fetched again when a key is unknown.

A rotated key is found without a restart; a forger who invents key ids causes at most one fetch per
`REFETCH_INTERVAL_S`. Never decides whether a token is valid: that is `gateway.access.tokens`.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from common.errors import SettingsError
from common.settings.auth import AuthSettings
from contracts.messages import CloseCode
from gateway.access.bearer import AccessRefusedError
from watchfloor_client.addresses import is_loopback

REFETCH_INTERVAL_S = 10.0
TIMEOUT_S = 5.0
KEY_SET_BYTES_MAX = 256 * 1024

RSA_BITS_MIN = 2_048
RSA_BITS_MAX = 16_384

_log = structlog.get_logger(__name__)


class JwksKeys:
    """Keys by their id.

    Args:
        auth: names the key set (RFC 7517), the algorithm of the keys, and how long they are used.
        url: of the key set.
        clock: monotonic seconds.

    Raises:
        SettingsError: the set would be fetched without TLS from another machine.
    """

    def __init__(self, auth: AuthSettings, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        address = httpx.URL(url)
        if address.scheme != "https" and not (address.scheme == "http" and is_loopback(address.host)):
            raise SettingsError(
                "auth.jwks_url is no https:// address", "fetch keys over https; http is for loopback only"
            )
        self._url = url
        self._algorithm = auth.algorithm
        self._cache_s = auth.jwks_cache_s
        self._emptied_s_max = auth.jwks_emptied_s_max
        self._emptied_at: float | None = None
        """Since when the provider answers with no usable key."""
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """The key that `kid` names; without a `kid` the only key of the set.

        Raises:
            AccessRefusedError: there is no such key, also after a fresh fetch.
        """
        if kid not in self._keys or self._clock() - self._fetched_at > self._cache_s:
            async with self._fetching:
                if kid not in self._keys or self._clock() - self._fetched_at > self._cache_s:
                    await self._fetch()
        found = self._keys.get(kid)
        if found is None:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token's key is unknown")
        return found

    async def _fetch(self) -> None:
        if self._clock() - self._tried_at < REFETCH_INTERVAL_S:
            return
        self._tried_at = self._clock()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                keys = usable_keys(await self._download(), self._algorithm)
        except (httpx.HTTPError, TimeoutError, ValueError, msgspec.DecodeError) as error:
            # The keys known so far stay in use: an identity provider that is away for a moment locks nobody out.
            _log.warning("the key set could not be fetched", url=self._url, error=type(error).__name__)
            return
        if not keys:
            self._emptied(self._tried_at)
            return
        self._emptied_at = None
        self._keys = {key.key_id: key for key in keys}
        if len(keys) == 1:
            self._keys[None] = keys[0]
        self._fetched_at = self._clock()
        _log.info("key set fetched", url=self._url, keys=len(keys))

    def _emptied(self, now: float) -> None:
        """The set has no key: a mistake of the provider for a while, and then its word."""
        self._emptied_at = now if self._emptied_at is None else self._emptied_at
        if now - self._emptied_at >= self._emptied_s_max:
            self._keys = {}
        _log.warning("the key set has no usable key", url=self._url, keys_in_use=len(self._keys))

    async def _download(self) -> str:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client, client.stream("GET", self._url) as response:
            response.raise_for_status()
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > KEY_SET_BYTES_MAX:
                    raise ValueError("the key set is too large")
        return body.decode()


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def usable_keys(text: str, algorithm: str) -> list[jwt.PyJWK]:
    """The public keys of a set that verify signatures of the algorithm; others are passed over.

    Args:
        text: the JSON of the set.
        algorithm: RS256 or ES256.

    Raises:
        msgspec.DecodeError: it is no key set.
    """
    found: list[jwt.PyJWK] = []
    for entry in msgspec.json.decode(text, type=_KeySet).keys:
        operations = entry.get("key_ops", ["verify"])
        if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
            continue
        if entry.get("alg", algorithm) != algorithm:
            continue
        try:
            key = jwt.PyJWK(entry, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):  # not of this algorithm, or no key at all
            continue
        if _is_strong(key.key, algorithm):
            found.append(key)
    return found


def _is_strong(key: object, algorithm: str) -> bool:
    if algorithm == "RS256":
        return isinstance(key, RSAPublicKey) and RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
