"""Whether the feed is live, behind or interrupted, and when clients are notified (R5.9).

Pure: what was found out and the time in, a message or none out. A disturbance counts when it has lasted for a while,
and so does its end: nobody is notified of every short one.
"""

from dataclasses import dataclass

from contracts.messages import FeedState, FeedStatus
from gateway.session.replies import iso

_LEAVE_SHARE = 0.5
"""Behind is over when the delay is below this share of what makes it begin."""


@dataclass(frozen=True, slots=True)
class Symptoms:
    """What is known of the chain at one moment; None where it is not known."""

    kafka_answers: bool = True
    gateway_reads: bool = True
    """What the log held at the start is read."""
    gateway_lag_records: int = 0
    gateway_lag_seconds: float = 0.0
    worker_serves: bool | None = None
    """Every partition is processed by a worker that is ready."""
    worker_lag_records: int | None = None
    worker_lag_seconds: float | None = None
    connect_runs: bool | None = None
    database_answers: bool | None = None
    database_captured: bool | None = None
    """No change that is written now is lost."""

    def interrupted(self) -> list[str]:
        """Components through which nothing comes, the one that explains the others first."""
        found = {
            "kafka": self.kafka_answers,
            "database": False if self.database_captured is False else self.database_answers,
            "connect": self.connect_runs,
            "worker": self.worker_serves,
            "gateway": self.gateway_reads,
        }
        return [name for name, fine in found.items() if fine is False]

    def slowest(self) -> tuple[str, float]:
        """The component that is furthest behind, and how many seconds."""
        worker, gateway = self.worker_lag_seconds or 0.0, self.gateway_lag_seconds
        return ("worker", worker) if worker >= gateway else ("gateway", gateway)

    def lag_records(self) -> int:
        """Records that wait somewhere on the way."""
        return self.gateway_lag_records + (self.worker_lag_records or 0)


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: FeedState
    component: str | None


_LIVE = _Verdict(FeedState.LIVE, None)


class FeedWatch:
    """Turns symptoms into the status that clients are sent.

    Args:
        behind_s: from this delay on the feed is behind.
        hold_s: how long a verdict must last before it is announced.
        repeat_s: how often it is announced again while the feed is not live.
    """

    def __init__(self, *, behind_s: float, hold_s: float, repeat_s: float) -> None:
        self._behind_s = behind_s
        self._hold_s = hold_s
        self._repeat_s = repeat_s
        self._announced = _LIVE
        self._announced_at = 0.0
        self._since: float | None = None
        """When the disturbance that was announced began."""
        self._pending: tuple[_Verdict, float] | None = None
        self._fine_at: dict[str, float] = {}
        """When each component last worked, as far as was seen."""
        self._latest = Symptoms()

    @property
    def live(self) -> bool:
        """Whether the last announcement said that the feed is live, or there was none yet."""
        return self._announced == _LIVE

    def observe(self, symptoms: Symptoms, now: float) -> FeedStatus | None:
        """What to announce to everybody now, None where nothing is new; `now` is in seconds since 1970."""
        self._latest = symptoms
        interrupted = symptoms.interrupted()
        for name in ("kafka", "database", "connect", "worker", "gateway"):
            if name not in interrupted:
                self._fine_at[name] = now
            self._fine_at.setdefault(name, now)
        verdict = self._verdict(interrupted)
        if verdict == self._announced:
            self._pending = None
            if self.live or now - self._announced_at < self._repeat_s:
                return None
            return self._announce(now)
        if self._pending is None or self._pending[0] != verdict:
            self._pending = (verdict, now)
        if now - self._pending[1] < self._hold_s:
            return None
        if self.live:
            self._since = self._pending[1]
        self._announced, self._pending = verdict, None
        if verdict == _LIVE:
            self._since = None
        return self._announce(now)

    def status(self, now: float) -> FeedStatus:
        """The status as it is announced, as of now."""
        verdict = self._announced
        return FeedStatus(
            timestamp=iso(now),
            state=verdict.state,
            component=verdict.component,
            behind_seconds=None if self.live else round(self._behind(now), 3),
            behind_records=None if self.live else self._latest.lag_records(),
            since=None if self._since is None else iso(self._since),
        )

    def _announce(self, now: float) -> FeedStatus:
        self._announced_at = now
        return self.status(now)

    def _verdict(self, interrupted: list[str]) -> _Verdict:
        if interrupted:
            return _Verdict(FeedState.INTERRUPTED, interrupted[0])
        name, seconds = self._latest.slowest()
        enough = self._behind_s * (_LEAVE_SHARE if self._announced.state is FeedState.BEHIND else 1.0)
        return _Verdict(FeedState.BEHIND, name) if seconds >= enough else _LIVE

    def _behind(self, now: float) -> float:
        """How old what is missing may be: the delay, or the time since the component last worked."""
        stopped = self._fine_at.get(self._announced.component or "", now)
        still = now - stopped if self._announced.state is FeedState.INTERRUPTED else 0.0
        return max(still, self._latest.slowest()[1])
