"""The settings of signing in."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from common.settings.model import NotNegative, Positive, Section


class AuthSettings(Section):
    """Who may sign in at the gateway."""

    algorithm: Literal["HS256", "RS256", "ES256"] = "HS256"
    hs256_secret: SecretStr | None = None
    """Development only; at least 32 bytes."""
    jwks_url: str | None = None
    """Of the identity provider's key set; https, or http on loopback. RSA keys have at least 2,048 bits."""
    jwks_cache_s: Positive = 300
    jwks_emptied_s_max: Annotated[int, Field(gt=0, le=86_400)] = 600
    """How long the last keys stay in use while the provider answers with a set that has no usable key."""
    issuer: str = "watchfloor"
    audience: str = "watchfloor"
    clock_skew_s: NotNegative = 5
    token_bytes_max: Positive = 16 * 1024
    """A longer token is refused before it is read."""
    token_lifetime_s_max: Positive = 30 * 24 * 3600
    """A token whose `exp` is further than this after its `iat` is refused. Revocations are remembered for this long, so
    set it to what your identity provider really issues."""
    revocations_max: Positive = 100_000
    """Revocations that a gateway remembers. Beyond it the oldest are forgotten, and every token that was issued before
    them is refused instead."""
