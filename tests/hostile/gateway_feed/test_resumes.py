"""A tenant that fills the memory of the gateway or resumes without end: the others' messages come as before."""

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from support.feed_samples import anomaly
from support.gateway_process import FeedWriter, GatewayProcess
from support.quiet_tenant import QuietTenant
from support.raw_socket import CLOSE, RawSocket
from support.waiting import until

tenants = itertools.count(40_000)
LONGER_S_MAX = 2.0
MIB = 1 << 20


@pytest.fixture
def gateway(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(feed, tmp_path_factory.mktemp("gateway"), **{"resume.user_bytes_per_s_max": 1_024}) as running:
        yield running


def fill(gateway: GatewayProcess, feed: FeedWriter, tenant: int, messages: int, size: int) -> str:
    """Write messages of a tenant until the gateway has read them; the log's epoch."""
    for start in range(1, messages + 1, 100):
        feed.write(
            *(anomaly(tenant, seq, site_name="x" * size) for seq in range(start, min(start + 100, messages + 1)))
        )
    with gateway.sign_in(tenant) as client:
        epoch = str(client.established["epoch"])

    def position() -> int:
        with gateway.sign_in(tenant) as client:
            return int(client.established["seq"])

    until(lambda: position() == messages, "the gateway has read it", within_s=60)
    return epoch


def resuming(gateway: GatewayProcess, tenant: int, epoch: str, *, user: str, seq: int = 0) -> RawSocket:
    """A connection that has signed in with a position, and has read nothing since."""
    raw = RawSocket(gateway.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    assert raw.open() == 101
    raw.say(type="authenticate", token=gateway.token(tenant, user=user), resume={"epoch": epoch, "seq": seq})
    return raw


def rss(gateway: GatewayProcess) -> int:
    assert gateway.process is not None
    return int(psutil.Process(gateway.process.pid).memory_info().rss)


@pytest.fixture
def generous(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that lets everybody resume as often as they like, with a history that one tenant could fill."""
    limits = {"slow.timeout_s": 5, "history.bytes_max": 48 * MIB, "history.tenant_bytes_max": 48 * MIB}
    limits["resume.user_bytes_burst_max"] = 1 << 40
    with GatewayProcess(feed, tmp_path_factory.mktemp("generous"), **limits) as running:
        yield running


def test_a_full_history_and_clients_that_do_not_read_delay_nobody(generous: GatewayProcess, feed: FeedWriter) -> None:
    gateway, attacker = generous, next(tenants)
    with QuietTenant(gateway, feed, next(tenants)) as quiet, ExitStack() as attack:
        until(lambda: quiet.heard >= 40, "the quiet tenant has a past")
        before = rss(gateway)
        epoch = fill(gateway, feed, attacker, 2_200, 66_000)
        first = quiet.heard
        for _ in range(30):
            attack.enter_context(resuming(gateway, attacker, epoch, user="frozen"))
        from_log = gateway.metric('watchfloor_gateway_resumes_total{result="log"}')
        for _ in range(5):  # operators of the quiet tenant come back
            began = time.monotonic()
            position = {"resume": {"epoch": epoch, "seq": 0}}
            with gateway.sign_in(quiet.tenant, user="returning", first=position) as client:
                answer = client.hear(10)
                assert (answer["type"], answer["recovered"], answer["from"]) == ("resumed", True, 1)
                seqs = [client.hear(10)["seq"] for _ in range(answer["to"])]
            assert time.monotonic() - began < LONGER_S_MAX
            assert seqs == list(range(1, answer["to"] + 1))
        assert gateway.metric('watchfloor_gateway_resumes_total{result="log"}') <= max(from_log, 30)
        slow = "watchfloor_gateway_slow_closes_total"
        until(lambda: gateway.metric(slow) >= 30, "who does not read is closed", within_s=60)
        assert quiet.longest_s(first) < LONGER_S_MAX
        grown = (rss(gateway) - before) / MIB
        assert grown < 200, f"{grown:.0f} MiB"


def test_a_user_that_resumes_without_end_is_told_to_wait(gateway: GatewayProcess, feed: FeedWriter) -> None:
    """Also over several connections and after coming back; the position it waits with is not lost."""
    attacker = next(tenants)
    with QuietTenant(gateway, feed, next(tenants)) as quiet, ExitStack() as attack:
        epoch = fill(gateway, feed, attacker, 2_000, 2_000)
        until(lambda: quiet.heard >= 40, "the quiet tenant has a past")
        alone_s, first = quiet.median_s(), quiet.heard
        sent_before = gateway.metric("watchfloor_gateway_sent_bytes_total")
        codes = []
        for _ in range(2):
            raw = attack.enter_context(resuming(gateway, attacker, epoch, user="greedy"))
            for _ in range(90):
                raw.say(type="resume", epoch=epoch, seq=0)
            codes += [one for one in raw.frames(20) if one.opcode == CLOSE]
        assert [int.from_bytes(one.payload[:2], "big") for one in codes] == [4429, 4429]
        assert all(one.payload[2:].startswith(b"retry_after_s=") for one in codes)
        # The same user once more; another one of the tenant is not concerned.
        with gateway.connect() as again:
            token = gateway.token(attacker, user="greedy")
            again.say(type="authenticate", token=token, resume={"epoch": epoch, "seq": 0})
            assert [again.hear()["type"], again.hear()["code"]] == ["connection_established", "too_many_messages"]
            assert again.close_code() == 4429
        with gateway.sign_in(attacker, user="other", first={"resume": {"epoch": epoch, "seq": 1_990}}) as other:
            assert other.hear()["recovered"]
        sent = gateway.metric("watchfloor_gateway_sent_bytes_total") - sent_before
        assert sent < 200 * MIB, f"{sent / MIB:.0f} MiB"
        assert quiet.longest_s(first) < LONGER_S_MAX
        assert quiet.median_s(first) < alone_s + 0.1


def test_reads_of_the_log_end_with_who_wants_them(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = {"history.messages_max": 10, "resume.user_bytes_burst_max": 1 << 40}
    with GatewayProcess(feed, tmp_path_factory.mktemp("forgetful"), **limits) as gateway:
        attacker = next(tenants)
        epoch = fill(gateway, feed, attacker, 5_000, 2_000)
        assert gateway.process is not None
        process = psutil.Process(gateway.process.pid)
        with QuietTenant(gateway, feed, next(tenants)) as quiet:
            until(lambda: quiet.heard >= 20, "the quiet tenant has a past")
            threads, first = process.num_threads(), quiet.heard
            for _ in range(4):
                with ExitStack() as attack:
                    clients = [attack.enter_context(resuming(gateway, attacker, epoch, user="u")) for _ in range(20)]
                    for seq in range(1, 15):
                        for raw in clients:
                            raw.say(type="resume", epoch=epoch, seq=seq)
            assert process.num_threads() <= threads + 8  # the executor's for looking up names, and no more
            with gateway.sign_in(attacker, user="patient", first={"resume": {"epoch": epoch, "seq": 100}}) as client:
                assert client.hear(10)["recovered"]
                assert [client.hear(10)["seq"] for _ in range(4_900)] == list(range(101, 5_001))
            assert quiet.longest_s(first) < LONGER_S_MAX
