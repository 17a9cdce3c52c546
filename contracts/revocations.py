"""Records of `noc.revocations`: users and tokens that are no longer let in.

A compacted topic. Key: `{"tenant_id":1,"subject":"ops"}` for everything that was issued to a user before `not_before`,
or `{"jti":"…"}` for one token, byte for byte as `key_bytes` writes it. A record without a value lifts the revocation of
its key. It is not keyed by tenant, because a token's key names none: a writer uses Kafka's default partitioner for keys
(murmur2), and every reader reads all partitions.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

SUBJECT_CHARACTERS_MAX = 256
"""Of a subject or a token's id; longer ones are refused everywhere."""
REASON_CHARACTERS_MAX = 300

_Text = Annotated[str, Meta(min_length=1, max_length=SUBJECT_CHARACTERS_MAX)]
_Instant = Annotated[datetime, Meta(tz=True)]


class RevokedSubject(msgspec.Struct, frozen=True):
    """All tokens of a user up to a moment."""

    tenant_id: int
    subject: _Text


class RevokedToken(msgspec.Struct, frozen=True):
    """One token, by its `jti`."""

    jti: _Text


RevocationKey = RevokedSubject | RevokedToken


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The revocation of a key."""

    not_before: _Instant
    """Tokens of the subject that were issued earlier are refused. Of one token: when it was revoked."""
    reason: Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)] | UnsetType = UNSET
    """For people who read the topic; the gateway neither shows nor logs it."""
    revoked_by: Annotated[str, Meta(max_length=SUBJECT_CHARACTERS_MAX)] | UnsetType = UNSET


class _AnyKey(msgspec.Struct):
    tenant_id: int | UnsetType = UNSET
    subject: _Text | UnsetType = UNSET
    jti: _Text | UnsetType = UNSET


_decode_any_key = msgspec.json.Decoder(_AnyKey).decode
decode_revocation = msgspec.json.Decoder(Revocation).decode
encode_revocation = msgspec.json.Encoder().encode


def key_bytes(key: RevocationKey) -> bytes:
    """The record key.

    >>> key_bytes(RevokedSubject(1, "ops")), key_bytes(RevokedToken("4f1d"))
    (b'{"tenant_id":1,"subject":"ops"}', b'{"jti":"4f1d"}')
    """
    return msgspec.json.encode(key)


def decode_key(key: bytes) -> RevocationKey:
    """What a record key names.

    Raises:
        msgspec.DecodeError: it names neither of the two, or both.
    """
    match _decode_any_key(key):
        case _AnyKey(tenant_id=int(tenant_id), subject=str(subject), jti=msgspec.UNSET):
            return RevokedSubject(tenant_id, subject)
        case _AnyKey(tenant_id=msgspec.UNSET, subject=msgspec.UNSET, jti=str(jti)):
            return RevokedToken(jti)
    raise msgspec.DecodeError("a key names tenant_id and subject, or jti")
