"""The settings of the WebSocket gateway."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from common.settings.model import NotNegative, Port, Positive, Section


class AdminSettings(Section):
    """Health, readiness and metrics on a port of their own. The public port has no metrics."""

    host: str = "127.0.0.1"
    port: Port = 9201
    """Each of several gateways on one machine needs its own."""


class TlsSettings(Section):
    """With both files the gateway itself speaks https and wss."""

    certificate_file: Path | None = None
    """PEM chain."""
    key_file: Path | None = None


class HandshakeSettings(Section):
    """How fast clients may connect."""

    per_s_max: Positive = 2_000
    """Handshakes a second; one more is answered with 503 and Retry-After."""
    burst_max: Positive = 5_000
    """Handshakes that may come at once before that rate counts."""
    per_address_per_s_max: Positive = 20
    """The same for one client address (IPv6: its /64). Addresses on loopback are not counted."""
    per_address_burst_max: Positive = 200
    """Enough for an office behind one address whose dashboards all come back at once."""
    addresses_max: Positive = 10_000
    """Client addresses whose rate is remembered."""
    pending_max: Positive = 5_000
    """Sockets on which nobody has signed in yet. One more closes the oldest one of the client address that has the most of
    them. They take no place from the signed-in connections."""


class ConnectionSettings(Section):
    """How many connections there are, and how much is buffered for each."""

    total_max: Positive = 10_000
    """Signed-in connections of this process; a further handshake is answered with 503 and Retry-After."""
    per_user_max: Positive = 100
    """Of one user (tenant and subject) at this process; one more is closed with 1013."""
    per_tenant_max: Positive = 5_000
    """Of one tenant at this process; one more is closed with 1013."""
    queue_bytes_max: Positive = 256 * 1024
    """Per connection, not yet written. Over it nothing live is written; the connection reads on from the history when
    its socket has room again."""
    close_timeout_s: Positive = 3
    """How long a closing connection waits for the client's half of the handshake."""


class SessionSettings(Section):
    """What one connection may send, and when it hears of the gateway."""

    authenticate_timeout_s: Positive = 10
    message_bytes_max: Positive = 64 * 1024
    messages_per_minute_max: Positive = 100
    control_frames_per_minute_max: Positive = 300
    """Pings and pongs of one connection; over it the connection is closed with 4429."""
    filters_max: Positive = 100
    """Sites and clients to which one connection may narrow its subscription."""
    heartbeat_interval_s: Positive = 25


class MaskingSettings(Section):
    """Personal data that viewers without `noc:view_pii` do not read."""

    names_per_tenant_max: Annotated[int, Field(gt=0, le=100_000)] = 5_000
    """Names of persons that the feed has shown, which are hidden in free text. Beyond it the one that it has not shown
    for longest is forgotten."""


class SignInSettings(Section):
    """One-time codes that stand for a token in a link."""

    code_lifetime_s: Annotated[int, Field(gt=0, le=3_600)] = 300
    codes_per_user_max: Annotated[int, Field(gt=0, le=1_000)] = 10
    """Of one user, not used yet; one more ends the oldest."""
    codes_max: Annotated[int, Field(gt=0, le=100_000)] = 1_000
    """Of all users; one more is refused."""


class SlowSettings(Section):
    """Clients that are too slow."""

    timeout_s: Positive = 30
    """A connection that is behind and takes nothing for this long is closed with 4409."""
    retry_after_s_min: Positive = 5
    """When a client that was too slow may come back; doubled with each further time."""
    retry_after_s_max: Positive = 300


class HistorySettings(Section):
    """The recent messages that are kept in memory for clients that come back or are slow."""

    messages_max: Positive = 10_000
    """Per tenant. A live client that falls further behind is closed with 4409."""
    tenant_bytes_max: Annotated[int, Field(ge=1_048_576)] = 32 * 1024 * 1024
    """Per tenant."""
    bytes_max: Annotated[int, Field(ge=1_048_576)] = 128 * 1024 * 1024
    """Of all tenants. Beyond it the tenants with the most bytes give up their oldest messages; a tenant with less than its
    share (15/16 of this, divided by the number of tenants) gives up none."""
    rendered_messages_max: Positive = 4_096
    """The newest messages are kept as frames too, so that they are rendered once when many clients return."""
    rendered_bytes_max: Positive = 16 * 1024 * 1024
    """Of the records of these messages; their frames take two to five times as much."""


class ResumeSettings(Section):
    """Sending what a returning client missed."""

    messages_max: Positive = 50_000
    """A gap of more messages is not sent again."""
    scan_records_max: Positive = 500_000
    """Records of the log that are read for one gap."""
    reads_max: Annotated[int, Field(ge=1, le=64)] = 4
    """Reads of the log at once. Tenants take turns, and within a tenant its users."""
    slice_messages: Positive = 200
    """Sent to one client before the next one's turn."""
    slice_bytes_max: Positive = 128 * 1024
    """The same in bytes of the log, but at least one message."""
    user_bytes_burst_max: Positive = 128 * 1024 * 1024
    """Given again to one user (tenant and subject) at this process, over all its connections, before the rate counts. A
    resume beyond it closes the connection with 4429 and the seconds to wait."""
    user_bytes_per_s_max: Positive = 4 * 1024 * 1024
    """How fast that allowance comes back."""
    ahead_wait_s: Positive = 5
    """How long a client whose position is ahead of this gateway is held, until this one has read that far."""


class ReaderSettings(Section):
    """Reading the feed from Kafka."""

    fetch_wait_ms_max: Positive = 100
    round_pause_ms_max: NotNegative = 5
    """Between two rounds of the fan-out the gateway waits as long as the last one took, at most this: under load rounds
    get larger and cost less."""
    poll_records_max: Positive = 2_000
    """Feed records that are rendered before other connections get their turn."""
    tail_records_max: Positive = 100_000
    """Per partition, read back at the start to know each tenant's position in the feed."""
    broker_wait_s_max: Positive = 20
    """How long the start waits for a broker before it fails."""
    broker_silence_s_max: Positive = 5
    """Without an answer from the broker for this long the gateway is not ready, and reconnects."""


class DrainSettings(Section):
    """How a gateway stops."""

    spread_s_max: Annotated[float, Field(ge=0)] = 3
    """Over how long the closing of its connections is spread."""
    wait_s_max: Positive = 10
    """How long it waits for its connections after that."""
    publish_s_max: Positive = 3
    """How long it waits for the broker to take receipts and audit records."""


class ReceiptSettings(Section):
    """Who received and saw what."""

    interval_ms: Positive = 1_000
    """How often the receipts of each tenant are written to their topic, as one record."""
    positions_interval_s: Positive = 10
    """How often the position of connections that send no receipts themselves is written."""
    ranges_max: Positive = 4_096
    """Ranges and seen ids of one tenant that are gathered; with more the record is written before its interval ends."""
    queue_bytes_max: Positive = 16 * 1024 * 1024
    """Receipts that wait for a broker; beyond it the oldest are dropped and counted."""
    seen_ids_max: Positive = 50_000
    """Newest findings, of all tenants together, for which a gateway records that somebody has looked at them."""


class CriticalSettings(Section):
    """CRITICAL messages that nobody looks at."""

    unseen_s: Positive = 60
    """A message that nobody has looked at for this long is announced again, then after twice this time and so on."""
    notices_max: Annotated[int, Field(ge=1, le=20)] = 5
    """How often a message is announced again."""
    messages_max: Positive = 1_000
    """Newest CRITICAL messages of a tenant that are watched."""
    seen_by_max: Positive = 20
    """Users that are named in `message_seen`: the first ones."""


class AuditSettings(Section):
    """The audit trail."""

    queue_records_max: Positive = 20_000
    """Audit records that wait for a broker; further ones are written to the log and counted."""
    window_s: Positive = 60
    """Equal refusals of one address in this time are one audit record, and one more with their count."""
    repeats_max: Positive = 10_000
    """Addresses and reasons that are counted apart in that time; the others are counted together."""


class HealthSettings(Section):
    """Asking the other components how they are."""

    interval_s: Positive = 5
    """How often they are asked. One that is not well is asked every second."""
    timeout_s: Positive = 2
    """How long each of them has to answer."""
    worker_urls: list[str] = Field(default_factory=list)
    """Where the workers' `/metrics` and `/readyz` are, such as `http://worker-1:9101`; without them the gateway cannot
    say whether the workers keep up."""
    connect_url: str | None = None
    """Kafka Connect's REST interface, where the gateway may ask for the state of the connector's task."""


class FeedStatusSettings(Section):
    """Saying that the feed is not live."""

    behind_s: Positive = 5
    """From this delay on clients are told that the feed is behind."""
    hold_s: Annotated[float, Field(ge=0)] = 3.0
    """How long a problem, or its end, must last before clients are told, so that short ones are not reported."""
    interval_s: Positive = 30
    """How often clients are told again while the feed is not live."""


class GatewaySettings(Section):
    """The WebSocket gateway."""

    host: str = "127.0.0.1"
    port: Port = 8080
    reuse_port: bool = False
    """Several gateways listen on one port (SO_REUSEPORT, Linux): all of them must say so. The port is opened when the
    gateway is ready, since the kernel gives it its share of the connections from then on."""
    allow_insecure: bool = False
    """Start on an address that is not loopback also with a shared secret (HS256) or without TLS, for example behind a
    balancer on a private network that ends TLS."""
    allowed_origins: list[str] = Field(default_factory=list)
    """Exact origins, such as `https://noc.example.com`. The gateway's own loopback address is added when it binds there."""
    trusted_proxies: list[str] = Field(default_factory=list)
    """Addresses or networks of load balancers whose X-Forwarded-For names the client. Others' is ignored."""
    admin: AdminSettings = AdminSettings()
    tls: TlsSettings = TlsSettings()
    handshake: HandshakeSettings = HandshakeSettings()
    connections: ConnectionSettings = ConnectionSettings()
    session: SessionSettings = SessionSettings()
    masking: MaskingSettings = MaskingSettings()
    sign_in: SignInSettings = SignInSettings()
    slow: SlowSettings = SlowSettings()
    history: HistorySettings = HistorySettings()
    resume: ResumeSettings = ResumeSettings()
    reader: ReaderSettings = ReaderSettings()
    drain: DrainSettings = DrainSettings()
    receipts: ReceiptSettings = ReceiptSettings()
    critical: CriticalSettings = CriticalSettings()
    audit: AuditSettings = AuditSettings()
    health: HealthSettings = HealthSettings()
    feed_status: FeedStatusSettings = FeedStatusSettings()
