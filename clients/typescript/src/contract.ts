// Written by scripts/typescript_types.py from contracts/; do not edit.
// The messages of contract v1, as JSON has them, and what to do after each close code.


/** One finding, on the dashboard endpoint. */
export interface DashboardAnomaly {
  readonly type: "anomaly_detected";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq: number;
  readonly part: Part;
  readonly anomaly_id: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly person_id: number | null;
  readonly person_name: string | null;
  readonly site_id: number | null;
  readonly site_name: string | null;
  readonly client_id: number | null;
  readonly anomaly_type: string;
  readonly category: Category;
  readonly severity: Severity;
  readonly fraud_score: number | null;
  readonly title: string;
  readonly description: string;
  /** What the finding is based on: enough to check it. */
  readonly evidence: Readonly<Record<string, number | string | boolean | readonly number[] | null>>;
  readonly created_at: string;
  readonly detection_latency_ms: number;
  readonly prev_seq: number;
}

/** A record with several findings is several dashboard messages of one `seq`. */
export interface Part {
  readonly index: number;
  readonly of: number;
}

/** What a finding is about. */
export type Category = "ATTENDANCE" | "TASK" | "LOCATION" | "TICKET" | "WORK_ORDER" | "DEVICE_HEALTH" | "DATA_QUALITY";

/** How soon somebody has to look at it. */
export type Severity = "INFO" | "LOW" | "MEDIUM" | "HIGH" | "CRITICAL";

/** One source event with all its findings, on the anomaly stream. */
export interface StreamAnomaly {
  readonly type: "anomaly_detected";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq: number;
  readonly event_id: string;
  readonly event_type: string;
  readonly findings_count: number;
  /** From the commit in PostgreSQL to the record in the feed's log. */
  readonly detection_latency_ms: number;
  readonly person_id: number | null;
  readonly person_name: string | null;
  readonly site_id: number | null;
  readonly site_name: string | null;
  readonly client_id: number | null;
  readonly findings: readonly FindingView[];
  readonly prev_seq: number;
}

/** A finding with its placeholders filled for the viewer. */
export interface FindingView {
  readonly id: string;
  readonly finding_type: string;
  readonly category: Category;
  readonly severity: Severity;
  readonly title: string;
  readonly description: string;
  readonly evidence: Readonly<Record<string, number | string | boolean | readonly number[] | null>>;
  readonly created_at: string;
  readonly fraud_score: number | null;
}

/** A ticket whose status changed. */
export interface TicketUpdatedMessage {
  readonly type: "ticket_updated";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq: number;
  readonly ticket_id: number;
  readonly ticket_no: string | null;
  readonly old_status: string;
  readonly new_status: string;
  readonly priority: string | null;
  readonly assigned_to: number | null;
  readonly site_id: number | null;
  readonly site_name: string | null;
  readonly client_id: number | null;
  readonly description: string;
  readonly updated_at: string | null;
  readonly prev_seq: number;
}

/** A burst over the tenant's limit: `dropped` events of `window` were not scored. */
export interface RateLimitedMessage {
  readonly type: "rate_limited";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq: number;
  readonly dropped: number;
  readonly window: string;
  readonly limit: number;
  readonly prev_seq: number;
}

export type SequencedMessage =
  | DashboardAnomaly
  | StreamAnomaly
  | TicketUpdatedMessage
  | RateLimitedMessage;

/** The first message after sign-in; `epoch` and `seq` are where this connection starts in the feed. */
export interface ConnectionEstablished {
  readonly type: "connection_established";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
  readonly tenant_id: number;
  readonly max_events_per_second: number;
  readonly epoch: string;
  readonly seq: number;
  readonly capabilities: readonly string[];
  readonly server_version: string;
  /** A client that receives nothing for twice this long may consider the connection dead. */
  readonly heartbeat_interval_s: number;
  /** When the token ends, and with it this connection unless it is refreshed. */
  readonly expires_at: string;
}

/** The connection continues with another token, and shows what that one allows. */
export interface Refreshed {
  readonly type: "refreshed";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
  readonly capabilities: readonly string[];
  readonly expires_at: string;
}

/** The answer to a position: all missed messages follow, or none. `from` and `to` are the first and the last seq that the client has missed, both included; with nothing missed `from` is one above `to`. Where none follow, the live feed continues after `to`; `from` is null where the position that was named does not exist in this log. */
export interface Resumed {
  readonly type: "resumed";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
  readonly recovered: boolean;
  readonly reason: UnrecoverableReason | null;
  readonly from: number | null;
  readonly to: number;
}

/** Why missed messages cannot be sent again. */
export type UnrecoverableReason = "epoch_changed" | "unknown_position" | "too_old" | "too_many" | "unavailable";

/** The subscription after `subscribe_*` or `unsubscribe`; empty lists mean everything that the token allows. `seq` is where it starts: the `prev_seq` of its first message. */
export interface Subscribed {
  readonly type: "subscribed";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
  readonly seq: number;
  readonly client_ids: readonly number[];
  readonly site_ids: readonly number[];
}

/** Counted by the gateway process that answers, since it started. */
export interface Stats {
  readonly type: "stats";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
  readonly uptime_seconds: number;
  /** Source events of the tenant that this gateway knows of, with findings and without. */
  readonly events_processed: number;
  readonly tenant_id: number;
  readonly group_name: string;
  /** Of the tenant at this gateway. */
  readonly connections: number;
}

/** The answer to `ping` and `heartbeat`. */
export interface Pong {
  readonly type: "pong";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
}

/** Something that the client asked for was not done; the logs contain `correlation_id` too (R5.8). */
export interface ErrorMessage {
  readonly type: "error";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly request_id?: string | number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly correlation_id: string;
}

/** What was wrong, for programs. */
export type ErrorCode = "malformed" | "unknown_type" | "invalid" | "not_authenticated" | "forbidden" | "too_many_messages" | "message_too_large" | "too_many_filters" | "too_many_connections";

export type AnswerMessage =
  | ConnectionEstablished
  | Refreshed
  | Resumed
  | Subscribed
  | Stats
  | Pong
  | ErrorMessage;

/** A sign of life: browsers do not show protocol pings to a page. Every message of this subscription up to `seq` was sent before it: a filtered client resumes from there. It has no `seq` while the gateway looks for what a returning client has missed. */
export interface Heartbeat {
  readonly type: "heartbeat";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq?: number;
}

/** Messages that are lost for everybody: reload what depends on them. Both ends included. */
export interface GapMessage {
  readonly type: "gap";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly from: number;
  readonly to: number;
  readonly reason: GapReason;
}

/** Why messages are missing. */
export type GapReason = "log_hole";

/** Sent when the feed falls behind the database, while it is, and when it has caught up. */
export interface FeedStatus {
  readonly type: "feed_status";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly state: FeedState;
  /** What delays it: `gateway`, `worker`, `connect`, `kafka` or `database`. */
  readonly component: string | null;
  readonly behind_seconds: number | null;
  readonly behind_records: number | null;
  readonly since: string | null;
}

/** How current the feed is. */
export type FeedState = "live" | "behind" | "interrupted";

/** Somebody has looked at a CRITICAL message; `seen_by` names everybody who has, the first one first. */
export interface MessageSeen {
  readonly type: "message_seen";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq: number;
  readonly id: string;
  readonly seen_by: readonly SeenBy[];
}

/** Somebody who has looked at a message. */
export interface SeenBy {
  readonly user: string;
  readonly at: string;
}

/** Nobody has looked at a CRITICAL message in the time that the settings allow. */
export interface CriticalUnseen {
  readonly type: "critical_unseen";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly seq: number;
  readonly id: string;
  readonly site_id: number | null;
  readonly client_id: number | null;
  readonly since: string;
  readonly unseen_seconds: number;
  /** Connections that it was written to, at this gateway. */
  readonly recipients: number;
}

export type NoticeMessage =
  | Heartbeat
  | GapMessage
  | FeedStatus
  | MessageSeen
  | CriticalUnseen;

/** A source event that was scored and found clean; anomaly stream only, outside the sequence. */
export interface EventProcessed {
  readonly type: "event_processed";
  /** ISO 8601 UTC: of feed messages when they were written to the log, of others when they were sent. */
  readonly timestamp: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly anomalies_found: false;
  readonly detection_latency_ms: number;
}

export type ServerMessage =
  | DashboardAnomaly
  | StreamAnomaly
  | TicketUpdatedMessage
  | RateLimitedMessage
  | ConnectionEstablished
  | Refreshed
  | Resumed
  | Subscribed
  | Stats
  | Pong
  | ErrorMessage
  | EventProcessed
  | Heartbeat
  | GapMessage
  | FeedStatus
  | MessageSeen
  | CriticalUnseen;

/** The first message of a client that did not sign in by subprotocol. With `resume` nothing live is sent before the answer to it; with `client_ids` and `site_ids` the subscription is narrow from the start, so that missed messages are filtered like those that follow. */
export interface Authenticate {
  readonly type: "authenticate";
  readonly request_id?: string | number;
  readonly token: string;
  readonly resume?: ResumePosition;
  readonly client_ids?: readonly number[];
  readonly site_ids?: readonly number[];
}

/** Where a client is in its tenant's feed: it has everything up to `seq` of `epoch`. */
export interface ResumePosition {
  readonly epoch: string;
  readonly seq: number;
}

/** Answered with `pong`. */
export interface Ping {
  readonly type: "ping";
  readonly request_id?: string | number;
}

/** The same as `ping`. */
export interface ClientHeartbeat {
  readonly type: "heartbeat";
  readonly request_id?: string | number;
}

/** Answered with `stats`. */
export interface GetStats {
  readonly type: "get_stats";
  readonly request_id?: string | number;
}

/** Narrow the subscription to this client (and those named before). */
export interface SubscribeClient {
  readonly type: "subscribe_client";
  readonly request_id?: string | number;
  readonly client_id: number;
}

/** Narrow the subscription to this site (and those named before). */
export interface SubscribeSite {
  readonly type: "subscribe_site";
  readonly request_id?: string | number;
  readonly site_id: number;
}

/** Widen the subscription to everything that the token allows. */
export interface Unsubscribe {
  readonly type: "unsubscribe";
  readonly request_id?: string | number;
}

/** Go back to a position, as `resume` of `authenticate` does; answered with `resumed`. */
export interface Resume {
  readonly type: "resume";
  readonly request_id?: string | number;
  readonly epoch: string;
  readonly seq: number;
}

/** Another token of the same user, so that the connection outlives the first one; answered with `refreshed`. */
export interface Refresh {
  readonly type: "refresh";
  readonly request_id?: string | number;
  readonly token: string;
}

/** The client has received every message of its subscription up to `seq`; not answered. */
export interface Received {
  readonly type: "received";
  readonly request_id?: string | number;
  readonly seq: number;
}

/** A person has looked at these messages, named by `anomaly_id` or a finding's `id`; not answered. */
export interface Seen {
  readonly type: "seen";
  readonly request_id?: string | number;
  readonly ids: readonly string[];
}

export type ClientMessage =
  | Authenticate
  | Ping
  | ClientHeartbeat
  | GetStats
  | SubscribeClient
  | SubscribeSite
  | Unsubscribe
  | Resume
  | Refresh
  | Received
  | Seen;

export const SUBPROTOCOL = "noc.v1";

export const BEARER_PREFIX = "bearer.";

/** What a client does after a close code. */
export interface Advice {
  readonly reconnect: "yes" | "new_token" | "no";
  readonly delay_s_min: number;
  readonly meaning: string;
}

/** By close code. */
export const ADVICE: Readonly<Record<number, Advice>> = {
  1001: {"reconnect": "yes", "delay_s_min": 1, "meaning": "the gateway stops"},
  1011: {"reconnect": "yes", "delay_s_min": 5, "meaning": "the gateway failed on this connection"},
  1012: {"reconnect": "yes", "delay_s_min": 1, "meaning": "the gateway restarts, or the log behind it is a new one"},
  1013: {"reconnect": "yes", "delay_s_min": 10, "meaning": "this user or tenant has all the connections it can have"},
  4401: {"reconnect": "new_token", "delay_s_min": 0, "meaning": "the token is missing, not valid or expired"},
  4403: {"reconnect": "no", "delay_s_min": 0, "meaning": "the token names no tenant or lacks noc:view"},
  4408: {"reconnect": "yes", "delay_s_min": 1, "meaning": "no authentication in time"},
  4409: {"reconnect": "yes", "delay_s_min": 5, "meaning": "the client does not read as fast as its feed comes"},
  4413: {"reconnect": "no", "delay_s_min": 0, "meaning": "a message of the client was too large"},
  4429: {"reconnect": "yes", "delay_s_min": 60, "meaning": "the client sent too many messages"},
};
