"""Nobody ever gets what is not theirs, and everybody gets all that is: for any tokens, filters, resumes, refreshes
and slow readers that hypothesis can think of.
"""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.expected_messages import STREAM, View
from support.feed_samples import anomaly, limited, ticket
from support.whole_gateway import EPOCH, Client, World, token_of

from contracts.feed import FeedRecord
from contracts.requests import ResumePosition
from gateway.access import bearer, masking
from gateway.access.scope import Scope
from gateway.feed import rendering
from gateway.feed.catchup import CatchUp
from gateway.feed.history import History
from gateway.feed.hub import Hub
from gateway.feed.rendering import FeedEntry, Variant
from gateway.feed.resume import Resumer, ResumeRequest
from gateway.feed.subscriber import Subscriber

Json = dict[str, Any]
Step = tuple[Any, ...]
TENANTS = (1, 2)
CLIENTS = (1, 2, 3)
SITES = (1, 2, 3, 4)
NAMES = ("Valerie Planted", "Ondo Gepflanzt", "Élodie Plantée")

_some_clients = st.none() | st.frozensets(st.sampled_from(CLIENTS), max_size=2)
_some_sites = st.none() | st.frozensets(st.sampled_from(SITES), max_size=3)
_capabilities = st.sampled_from(
    [frozenset({"noc:view", *more}) for more in ((), ("noc:view_all_clients",), ("noc:view_pii",), ("noc:view_all_clients", "noc:view_pii"))]
)  # fmt: skip
_views = st.builds(View, st.sampled_from(TENANTS), _capabilities, _some_clients, _some_sites)
_asking = st.tuples(
    st.frozensets(st.sampled_from(CLIENTS), max_size=1), st.frozensets(st.sampled_from(SITES), max_size=2)
)
_records = st.tuples(
    st.sampled_from(TENANTS),
    st.sampled_from(["anomaly", "anomaly", "anomaly", "ticket", "limited"]),
    st.none() | st.sampled_from(CLIENTS),
    st.none() | st.sampled_from(SITES),
    st.integers(1, 3),
    st.sampled_from(NAMES),
)
_who = st.integers(0, 3)
_positions = st.sampled_from([0, 0, 1, 2, 3, 5, 8, 13, 20, 30, 100, "ahead", "another log"])
"""How many records before the end of the log, or what is no position in it."""
_connecting = st.tuples(
    st.just("connect"), _who, _views, _asking, st.sampled_from(["dashboard", STREAM]), st.none() | _positions
)
_steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("publish"), st.lists(_records, min_size=1, max_size=8)),
    st.tuples(st.just("publish"), st.lists(_records, min_size=1, max_size=8)),
    _connecting,
    st.tuples(st.just("come back"), _who, st.none() | _positions),
    st.tuples(st.just("subscribe_client"), _who, st.sampled_from(CLIENTS)),
    st.tuples(st.just("subscribe_site"), _who, st.sampled_from(SITES)),
    st.tuples(st.just("unsubscribe"), _who),
    st.tuples(st.just("refresh"), _who, _views),
    st.tuples(st.just("resume"), _who, _positions),
    st.tuples(st.just("freeze"), _who),
    st.tuples(st.just("thaw"), _who),
    st.tuples(st.just("beat")),
    st.tuples(st.just("turns")),
    st.tuples(st.just("seen"), _who, st.sampled_from(TENANTS), st.integers(1, 20)),
    st.tuples(st.just("clean"), st.sampled_from(TENANTS), st.none() | st.sampled_from(CLIENTS), st.none() | st.sampled_from(SITES)),
)  # fmt: skip


_stories = st.tuples(
    st.tuples(st.just("publish"), st.lists(_records, max_size=40)),
    st.lists(_connecting, min_size=2, max_size=4),
    st.lists(_steps, min_size=12, max_size=40),
).map(lambda parts: [parts[0], *parts[1], *parts[2]])


class Story:
    """Carries out steps in a world, and judges every client in the end."""

    def __init__(self) -> None:
        self.world = World()
        self.now: dict[int, Client] = {}
        self.all: list[Client] = []
        self._next_seq = dict.fromkeys(TENANTS, 1)
        self._requests = 0

    async def run(self, steps: list[Step]) -> list[str]:
        """All faults of all clients."""
        try:
            for step in steps:
                await self._do(*step)
                for client in self.all:
                    client.judge()
            return await self._end()
        finally:
            for client in self.all:
                client.shell.disconnected()
            await self.world.close()

    async def _do(self, what: str, *arguments: Any) -> None:
        match what:
            case "publish":
                self.world.publish([self._record(*each) for each in arguments[0]])
            case "connect":
                await self._connect(*arguments)
            case "come back":
                await self._come_back(*arguments)
            case "freeze" | "thaw":
                self._freeze(arguments[0], frozen=what == "freeze")
            case "beat":
                for client in self.now.values():
                    client.shell.heartbeat("2026-11-21T12:00:00.000Z")
            case "turns":
                await self.world.turns()
            case "clean":
                self.world.clean(*arguments)
            case _:
                if arguments[0] in self.now:
                    await self._ask(self.now[arguments[0]], what, *arguments[1:])

    def _record(
        self, tenant: int, kind: str, client: int | None, site: int | None, findings: int, name: str
    ) -> FeedRecord:
        seq = self._next_seq[tenant]
        self._next_seq[tenant] += 1
        place = {"client_id": client, "site_id": site}
        if kind == "limited":
            return limited(tenant, seq)
        if kind == "ticket":
            return ticket(tenant, seq, **place)
        evidence = {
            "phone": f"+1-555-867-{tenant}{seq:03}",
            "email": f"p{seq}.{tenant}@planted.example",
            "person_id": 17,
        }
        record = anomaly(tenant, seq, findings, person_name=f"{name} {tenant}.{seq}", **place)
        found = [msgspec.structs.replace(finding, evidence=evidence) for finding in record.findings]
        return msgspec.structs.replace(record, findings=found)

    async def _connect(
        self,
        who: int,
        view: View,
        asking: tuple[frozenset[int], frozenset[int]],
        endpoint: str,
        position: int | str | None,
    ) -> None:
        await self._leave(who)
        allowed = (
            frozenset(each for each in asking[0] if "noc:view_all_clients" in view.capabilities or view.clients is None or each in view.clients),
            frozenset(each for each in asking[1] if view.sites is None or each in view.sites),
        )  # fmt: skip
        if view.clients is None and view.sites is None and "noc:view_all_clients" not in view.capabilities:
            allowed = (frozenset(), allowed[1])
        view = View(view.tenant, view.capabilities, view.clients, view.sites, *allowed)
        await self._arrive(Client(self.world, view, f"user {who}", endpoint), who, position)

    async def _come_back(self, who: int, position: int | str | None) -> None:
        """With what it had before, and the position that it has come to or another one."""
        before = self.now.get(who)
        if before is None or not before.transcript.established:
            return
        await self._leave(who)
        client = Client(self.world, before.transcript.view, before.subject, before.endpoint)
        end = max(self.world.logs[before.first_view.tenant], default=0)
        await self._arrive(client, who, end - before.transcript.last if position is None else position)

    async def _arrive(self, client: Client, who: int, position: int | str | None) -> None:
        self.now[who] = client
        self.all.append(client)
        await client.sign_in(None if position is None else self._position(client.first_view, position))

    def _position(self, view: View, back: int | str) -> Json:
        end = max(self.world.logs[view.tenant], default=0)
        if isinstance(back, int):
            return {"epoch": EPOCH, "seq": max(0, end - back)}
        return {"epoch": EPOCH, "seq": end + 3} if back == "ahead" else {"epoch": back, "seq": end}

    async def _leave(self, who: int) -> None:
        client = self.now.pop(who, None)
        if client is not None:
            client.judge()
            client.shell.disconnected()

    def _freeze(self, who: int, *, frozen: bool) -> None:
        client = self.now.get(who)
        if client is None:
            return
        client.sink.frozen, client.sink.waiting = frozen, int(frozen)
        if not frozen:
            client.shell.drained()

    async def _ask(self, client: Client, what: str, *arguments: Any) -> None:
        self._requests += 1
        asked, view = self._requests, client.transcript.view
        match what:
            case "refresh":
                other: View = arguments[0]
                fresh = View(
                    view.tenant, other.capabilities, other.clients, other.sites, view.wanted_clients, view.wanted_sites
                )
                client.transcript.asks(asked, fresh)
                message = {"type": what, "token": _token(client, fresh, other.tenant)}
            case "resume":
                message = {"type": what} | self._position(view, arguments[0])
                client.transcript.asks(asked, view, message["seq"])
            case "seen":
                tenant, seq = arguments
                record = self.world.logs[tenant].get(seq, {})
                message = {"type": what, "ids": [each["id"] for each in record.get("findings", ())] or ["none"]}
            case _:
                message = {"type": what, "client_id": 0, "site_id": 0}
                if arguments:
                    message[what.removeprefix("subscribe_") + "_id"] = arguments[0]
                client.transcript.asks(asked, view.asking(message))
        await client.say(message | {"request_id": asked})

    async def _end(self) -> list[str]:
        """Everybody reads on, and the last record of each log is for everybody."""
        for who in self.now:
            self._freeze(who, frozen=False)
        self.world.publish([self._record(tenant, "limited", None, None, 1, "") for tenant in TENANTS])
        await self.world.settle()
        faults: list[str] = []
        for client in self.all:
            client.judge()
            stayed = client in self.now.values() and client.sink.closed is None
            last = max(self.world.logs[client.first_view.tenant]) if stayed else None
            found = client.transcript.ends(last)
            faults += [f"{client.sink.id}, tenant {client.first_view.tenant}: {fault}" for fault in found]
        return faults


def _token(client: Client, view: View, tenant: int) -> str:
    return token_of(View(tenant, view.capabilities, view.clients, view.sites), client.subject)


def faults_of(steps: list[Step]) -> list[str]:
    async def story() -> list[str]:
        return await Story().run(steps)

    return asyncio.run(story())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_stories)
def test_everybody_gets_all_that_is_theirs_and_nothing_else(steps: list[Step]) -> None:
    assert faults_of(steps) == []


# --- what would be noticed ----------------------------------------------------------------------------------------


def unchanged_variant(self: Hub, subscriber: Subscriber, _variant: Variant, scope: Scope) -> int:
    return _hub_change(self, subscriber, subscriber.variant, scope)


def unchanged_scope(self: Hub, subscriber: Subscriber, variant: Variant, _scope: Scope) -> int:
    return _hub_change(self, subscriber, variant, subscriber.scope)


def first_tenants_past(self: History, tenant_id: int, seq: int, count: int) -> Any:
    return _history_after(self, TENANTS[0], seq, count) or _history_after(self, tenant_id, seq, count)


def without_its_first(self: CatchUp, subscriber: Subscriber) -> Any:
    records = _catch_up_next(self, subscriber)
    return records[1:] if records and len(records) > 1 else records


def joined_anew(self: Hub, subscriber: Subscriber) -> None:
    """Live again, and what came meanwhile is forgotten."""
    subscriber.cursor = self.position(subscriber.tenant_id)
    self.join(subscriber)


def one_back(self: Resumer, request: ResumeRequest) -> Any:
    position = ResumePosition(request.position.epoch, max(0, request.seq - 1))
    return _resumer_begin(self, replace(request, position=position))


_hub_change, _history_after = Hub.change, History.after
_catch_up_next, _resumer_begin = CatchUp._next, Resumer.begin
_shows = Scope.shows

BREAKS: dict[str, tuple[Any, str, Any]] = {
    "sites of the token are forgotten": (Scope, "shows", lambda self, client, _site: _shows(replace(self, sites=None), client, None)),
    "clients of the token are forgotten": (Scope, "shows", lambda self, client, site: _shows(replace(self, clients=None), client, site)),
    "a token without clients and sites sees all": (bearer, "_limits", lambda _claims, _capabilities: (None, None)),
    "filters are not applied": (FeedEntry, "passes", lambda _self, _scope: True),
    "what concerns the whole tenant is filtered": (FeedEntry, "passes", lambda self, scope: scope.shows(self.record.client_id, self.record.site_id)),
    "names are not masked": (rendering, "masked_record", lambda record, _names: record),
    "names are masked for everybody": (FeedEntry, "_project", lambda self, variant: _project(self, Variant(variant.endpoint, masked=True))),
    "evidence is not masked": (masking, "_masked_finding", lambda finding, _record, _names: finding),
    "a refreshed token without noc:view_pii goes on reading names": (Hub, "change", unchanged_variant),
    "a changed subscription or token changes nothing": (Hub, "change", unchanged_scope),
    "the past is another tenant's": (History, "after", first_tenants_past),
    "catching up leaves one out": (CatchUp, "_next", without_its_first),
    "who was behind misses what came meanwhile": (Hub, "rejoin", joined_anew),
    "a resume repeats one": (Resumer, "begin", one_back),
}  # fmt: skip
_project = FeedEntry._project


@pytest.mark.parametrize("what", BREAKS)
def test_the_property_notices(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BREAKS[what])

    @settings(
        max_examples=300, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(_stories)
    def broken(steps: list[Step]) -> None:
        assert faults_of(steps) == []

    with pytest.raises(AssertionError):
        broken()
