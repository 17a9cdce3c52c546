"""The identity provider's public keys: fetched, cached, and fetched again when a key is unknown.

A rotated key is found without a restart; a forger who invents key ids causes at most one fetch per
`REFETCH_INTERVAL_S`. Never decides whether a token is valid: that is `gateway.access.tokens`.
"""

import asyncio
import time
from collections.abc import Callable

import httpx
import jwt
import structlog

from contracts.messages import CloseCode
from gateway.access.bearer import AccessRefusedError

REFETCH_INTERVAL_S = 10.0
TIMEOUT_S = 5.0
KEY_SET_BYTES_MAX = 256 * 1024

_log = structlog.get_logger(__name__)


class JwksKeys:
    """Keys by their id.

    Args:
        url: of the key set (RFC 7517).
        cache_s: how long a fetched set is used before it is fetched again.
        clock: monotonic seconds.
    """

    def __init__(self, url: str, cache_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._cache_s = cache_s
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
                keys = jwt.PyJWKSet.from_json(await self._download()).keys
        except (httpx.HTTPError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            # The keys known so far stay in use: an identity provider that is away for a moment locks nobody out.
            _log.warning("the key set could not be fetched", url=self._url, error=type(error).__name__)
            return
        self._keys = {key.key_id: key for key in keys}
        if len(keys) == 1:
            self._keys[None] = keys[0]
        self._fetched_at = self._clock()
        _log.info("key set fetched", url=self._url, keys=len(keys))

    async def _download(self) -> str:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client, client.stream("GET", self._url) as response:
            response.raise_for_status()
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > KEY_SET_BYTES_MAX:
                    raise ValueError("the key set is too large")
        return body.decode()
