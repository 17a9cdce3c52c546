"""What a client sends over a WebSocket: the messages of contract v1.

Owns the shapes and their decoding. Never answers one: `gateway.session.protocol` does.
"""

from typing import Annotated, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

RequestId = Annotated[str, Meta(max_length=128)] | int
"""Chosen by the client, repeated in the answer."""


class ClientHead(msgspec.Struct, frozen=True):
    """What every client message has; its type determines the rest."""

    type: str
    request_id: RequestId | UnsetType = UNSET


class _Client(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    request_id: RequestId | UnsetType = UNSET


_Text = Annotated[str, Meta(max_length=128)]
_Seq = Annotated[int, Meta(ge=0)]


class ResumePosition(msgspec.Struct, frozen=True):
    """Where a client is in its tenant's feed: it has everything up to `seq` of `epoch`."""

    epoch: _Text
    seq: _Seq


FilterIds = Annotated[list[int], Meta(max_length=1_000)]


class Authenticate(_Client, frozen=True, kw_only=True, tag="authenticate"):
    """The first message of a client that did not sign in by subprotocol.

    With `resume` nothing live is sent before the answer to it; with `client_ids` and `site_ids` the subscription is
    narrow from the start, so that missed messages are filtered like those that follow.
    """

    token: str
    resume: ResumePosition | UnsetType = UNSET
    client_ids: FilterIds = []
    site_ids: FilterIds = []


class Ping(_Client, frozen=True, kw_only=True, tag="ping"):
    """Answered with `pong`."""


class ClientHeartbeat(_Client, frozen=True, kw_only=True, tag="heartbeat"):
    """The same as `ping`."""


class GetStats(_Client, frozen=True, kw_only=True, tag="get_stats"):
    """Answered with `stats`."""


class SubscribeClient(_Client, frozen=True, kw_only=True, tag="subscribe_client"):
    """Narrow the subscription to this client (and those named before)."""

    client_id: int


class SubscribeSite(_Client, frozen=True, kw_only=True, tag="subscribe_site"):
    """Narrow the subscription to this site (and those named before)."""

    site_id: int


class Resume(_Client, frozen=True, kw_only=True, tag="resume"):
    """Go back to a position, as `resume` of `authenticate` does; answered with `resumed`."""

    epoch: _Text
    seq: _Seq


class Refresh(_Client, frozen=True, kw_only=True, tag="refresh"):
    """Another token of the same user, so that the connection outlives the first one; answered with `refreshed`."""

    token: str


class Received(_Client, frozen=True, kw_only=True, tag="received"):
    """The client has received every message of its subscription up to `seq`; not answered."""

    seq: _Seq


class Seen(_Client, frozen=True, kw_only=True, tag="seen"):
    """A person has looked at these messages, named by `anomaly_id` or a finding's `id`; not answered."""

    ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=100)]


class Unsubscribe(_Client, frozen=True, kw_only=True, tag="unsubscribe"):
    """Widen the subscription to everything that the token allows."""


ClientMessage = (
    Authenticate
    | Ping
    | ClientHeartbeat
    | GetStats
    | SubscribeClient
    | SubscribeSite
    | Unsubscribe
    | Resume
    | Refresh
    | Received
    | Seen
)
CLIENT_TYPES: frozenset[str] = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ClientMessage))

decode_client_head = msgspec.json.Decoder(ClientHead).decode
decode_client_message = msgspec.json.Decoder(ClientMessage).decode
