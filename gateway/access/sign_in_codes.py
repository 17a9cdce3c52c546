"""One-time codes that stand for a token in a link: short-lived, single use, so that no token is in an address.

Owns which codes are good. Pure but for its random numbers; the clock is passed in. Known to this process only.
"""

import hashlib
import secrets
from dataclasses import dataclass

from common.settings.gateway import SignInSettings
from gateway.access.bearer import Bearer


@dataclass(frozen=True, slots=True)
class _Issued:
    token: str
    user: tuple[int, str]
    """Tenant and subject."""
    expires_at: float


class SignInCodes:
    """The codes that were issued and not used. Memory: the newest ones of each user, and of all up to a bound.

    Args:
        limits: how long codes live, and how many there are.
    """

    def __init__(self, limits: SignInSettings) -> None:
        self._limits = limits
        self._issued: dict[bytes, _Issued] = {}
        """By the digest of the code, the oldest first."""

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, token: str, bearer: Bearer, now: float) -> str | None:
        """A code for a token; None where there are too many.

        Args:
            token: it was verified.
            bearer: its bearer; the oldest code of a user with too many ends.
            now: seconds since 1970.
        """
        self._issued = {digest: issued for digest, issued in self._issued.items() if issued.expires_at > now}
        user = (bearer.tenant_id, bearer.subject)
        own = [digest for digest, issued in self._issued.items() if issued.user == user]
        if len(own) >= self._limits.codes_per_user_max:
            del self._issued[own[0]]
        if len(self._issued) >= self._limits.codes_max:
            return None
        code = secrets.token_urlsafe(32)
        self._issued[_digest(code)] = _Issued(token, user, now + self._limits.code_lifetime_s)
        return code

    def redeem(self, code: str, now: float) -> str | None:
        """The token of a code, once; None where the code is unknown, was used or has expired."""
        issued = self._issued.pop(_digest(code), None)
        return None if issued is None or issued.expires_at <= now else issued.token


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode(errors="replace")).digest()
