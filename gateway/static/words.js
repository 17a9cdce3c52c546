// What the page says about the feed itself: gaps, delays, who has looked. Pure.

const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false});

const REASONS = {
  too_old: "the log does not reach back that far",
  too_many: "they are more than the gateway gives again at once",
  unavailable: "the gateway cannot read the log now",
  log_hole: "the log lost them",
};

export function gapText({first, last, reason}) {
  if (reason === "epoch_changed") return "The log behind the feed is a new one: what came before it was replaced is not listed";
  if (first === null) return "The feed does not know where this page was: some messages may be missing here";
  const which = first === last ? `Message ${first.toLocaleString()}` : `Messages ${first.toLocaleString()} to ${last.toLocaleString()}`;
  if (reason === "lost") return `${which} did not arrive`;
  return `${which} cannot be shown: ${REASONS[reason] ?? String(reason).replaceAll("_", " ")}`;
}

// Empty while the feed is up to date.
export function feedStatusText({state, component, behind_seconds, behind_records, since}) {
  if (state === "live") return "";
  const parts = [state === "interrupted" ? "The feed is interrupted" : "The feed is behind the database"];
  if (typeof behind_seconds === "number") parts.push(`by ${duration(behind_seconds * 1000)}`);
  if (typeof behind_records === "number" && behind_records > 0) parts.push(`(${behind_records.toLocaleString()} records)`);
  const where = component ? `, held up at the ${component}` : "";
  return `${parts.join(" ")}${where}${since ? `, since ${timeOfDay(since)}` : ""}. What is listed is right, but not all of it yet.`;
}

export function unseenText({unseen_seconds}) {
  return `Nobody has looked at this for ${duration(unseen_seconds * 1000)}`;
}

export function unseenNote({unseen_seconds, site_id}) {
  const where = site_id === null || site_id === undefined ? "" : ` of site ${site_id}`;
  return `Nobody has looked at a critical message${where} for ${duration(unseen_seconds * 1000)}; it is not in this list`;
}

export function seenByText({seen_by}) {
  return `Seen by ${seen_by.map(({user, at}) => `${user} ${timeOfDay(at)}`.trim()).join(", ")}`;
}

export function duration(ms) {
  const whole = Math.max(0, Math.round(ms / 1000));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

function timeOfDay(text) {
  const parsed = new Date(text);
  return Number.isNaN(parsed.getTime()) ? "" : clock.format(parsed);
}

// Marks that turn the direction of what follows: a name that holds one would change how the text around it reads.
export function plain(text) {
  return String(text).replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
}

// Whose token it is, in words; empty where it cannot be read. The gateway decides whether it is good.
export function identityOf(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const {sub, tenant_id} = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0))));
    return `${plain(sub)} of tenant ${tenant_id}`;
  } catch {
    return "";
  }
}
