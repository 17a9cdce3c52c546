"""What a client sends over a WebSocket: the messages of contract v1.

Owns the shapes and their decoding. Never answers one: that is `gateway.protocol`.
"""

from typing import Annotated, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

RequestId = Annotated[str, Meta(max_length=128)] | int
"""Chosen by the client, repeated in the answer."""


class ClientHead(msgspec.Struct, frozen=True):
    """What every client message has; the rest is read by its type."""

    type: str
    request_id: RequestId | UnsetType = UNSET


class _Client(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    request_id: RequestId | UnsetType = UNSET


class Authenticate(_Client, frozen=True, kw_only=True, tag="authenticate"):
    """The first message of a client that did not sign in by subprotocol."""

    token: str


class Ping(_Client, frozen=True, kw_only=True, tag="ping"):
    """Answered with `pong`."""


class ClientHeartbeat(_Client, frozen=True, kw_only=True, tag="heartbeat"):
    """The same as `ping`."""


class GetStats(_Client, frozen=True, kw_only=True, tag="get_stats"):
    """Answered with `stats`."""


class SubscribeClient(_Client, frozen=True, kw_only=True, tag="subscribe_client"):
    """Narrow the subscription to this client (and others named before)."""

    client_id: int


class SubscribeSite(_Client, frozen=True, kw_only=True, tag="subscribe_site"):
    """Narrow the subscription to this site (and others named before)."""

    site_id: int


class Unsubscribe(_Client, frozen=True, kw_only=True, tag="unsubscribe"):
    """Back to everything that the token allows."""


ClientMessage = Authenticate | Ping | ClientHeartbeat | GetStats | SubscribeClient | SubscribeSite | Unsubscribe
CLIENT_TYPES: frozenset[str] = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ClientMessage))

decode_client_head = msgspec.json.Decoder(ClientHead).decode
decode_client_message = msgspec.json.Decoder(ClientMessage).decode
