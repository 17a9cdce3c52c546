// A message of the feed as a row of the list: which text goes where. No DOM.

const LEVELS = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO"];

// Returns null for what is no row: answers, notices, and types that a newer server speaks.
export function describe(message) {
  switch (message.type) {
    case "anomaly_detected":
      return {
        id: message.anomaly_id,
        level: LEVELS.includes(message.severity) ? message.severity : "INFO",
        badge: message.severity,
        at: date(message.created_at),
        title: message.title,
        kind: message.anomaly_type,
        detail: message.description,
        evidence: facts(message.evidence),
        where: message.site_name ?? numbered("Site", message.site_id),
        whereDetail: message.person_name ?? numbered("Person", message.person_id),
        latency: milliseconds(message.detection_latency_ms),
      };
    case "ticket_updated":
      return {
        level: "TICKET",
        badge: "TICKET",
        at: date(message.updated_at ?? message.timestamp),
        title: `${message.ticket_no ?? `Ticket ${message.ticket_id}`}: ${words(message.old_status)} → ${words(message.new_status)}`,
        kind: message.priority ?? "NO PRIORITY",
        detail: message.description,
        where: message.site_name ?? numbered("Site", message.site_id),
        whereDetail: message.assigned_to === null ? "unassigned" : `assigned to ${message.assigned_to}`,
        latency: "",
      };
    case "rate_limited":
      return {
        level: "LIMIT",
        badge: "LIMIT",
        at: date(message.window),
        title: `${message.dropped.toLocaleString()} events were not scored`,
        kind: "RATE_LIMITED",
        detail: `A burst went over the limit of ${message.limit} events per window.`,
        where: "Whole tenant",
        whereDetail: "",
        latency: "",
      };
    default:
      return null;
  }
}

// Evidence as pairs of texts: what it is, and how much. Names come as the field's, with its unit last.
function facts(evidence) {
  return Object.entries(evidence ?? {}).map(([name, value]) => [name.replaceAll("_", " "), fact(value)]);
}

function fact(value) {
  if (value === null) return "unknown";
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : "none";
  // Identifiers are digits, not quantities: no separators.
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toFixed(3))) : String(value);
}

function date(text) {
  const parsed = new Date(text);
  return Number.isNaN(parsed.getTime()) ? null : parsed;
}

function numbered(noun, id) {
  return id === null || id === undefined ? "" : `${noun} ${id}`;
}

function words(status) {
  return status.toLowerCase().replaceAll("_", " ");
}

function milliseconds(value) {
  if (typeof value !== "number") return "";
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}
