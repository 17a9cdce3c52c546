"""What an operator sees."""

import itertools
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from browser.page_reading import CONTRAST, titles
from playwright.sync_api import Page, expect
from support.feed_samples import anomaly, limited, ticket
from support.gateway_process import GatewayProcess
from support.stack import RunningStack
from support.waiting import let_pass, stays

from contracts.messages import CloseCode
from streams.topics import ensure_topics
from watchfloor.cli.links import sign_in_link

LIVE_MS = 10_000
SLOW_MS = 20_000
tenants = itertools.count(8_800)


def open_signed_in(page: Page, address: str, token: str) -> None:
    page.goto(address)
    page.fill("#token", token)
    page.click("#sign-in-form button")
    expect(page.locator("#state")).to_have_text("Live", timeout=LIVE_MS)


def code_for(gateway: GatewayProcess, token: str) -> str:
    return sign_in_link(gateway.http, token).partition("#code=")[2]


def test_a_link_asks_first_works_once_and_leaves_no_token(page: Page, own_gateway: GatewayProcess) -> None:
    token = own_gateway.token(1, user="val\u202eerie")
    link = sign_in_link(own_gateway.http, own_gateway.token(1, user="valerie"))
    page.goto(link)
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("as valerie of tenant 1", timeout=LIVE_MS)
    assert page.url == f"{own_gateway.http}/"
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#sign-in-reason")).to_contain_text("was used", timeout=LIVE_MS)
    page.goto("about:blank")
    page.goto(f"{own_gateway.http}/#token={token}")
    expect(page.locator("#state")).to_have_text("Signed out", timeout=LIVE_MS)
    assert token not in page.url


def test_signing_out_ends_the_session_at_the_server(page: Page, own_gateway: GatewayProcess) -> None:
    ensure_topics(own_gateway.feed.kafka)
    token = own_gateway.token(1, user="valerie")
    page.goto(sign_in_link(own_gateway.http, token))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#state")).to_have_text("Live", timeout=LIVE_MS)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#state")).to_have_text("Signed out", timeout=LIVE_MS)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("the token was revoked", timeout=LIVE_MS)


def test_a_row_committed_in_postgresql_appears_on_the_page(
    page: Page, stack: RunningStack, connection: "psycopg.Connection[Any]", make_token: Callable[..., str]
) -> None:
    tenant = next(tenants)
    site, person, other, row = (tenant * 10 + number for number in range(4))
    connection.execute("INSERT INTO tenant (id, name, timezone) VALUES (%s, 'Page', 'UTC')", (tenant,))
    connection.execute("INSERT INTO client (id, tenant_id, name) VALUES (%s, %s, 'Client')", (tenant, tenant))
    connection.execute(
        "INSERT INTO site (id, tenant_id, client_id, name, timezone) VALUES (%s, %s, %s, 'Harbour Tower', 'UTC')",
        (site, tenant, tenant),
    )
    for number, name in ((person, "Valerie Ondo"), (other, "Kofi Mensah")):
        connection.execute("INSERT INTO person (id, tenant_id, name) VALUES (%s, %s, %s)", (number, tenant, name))
    connection.execute(
        "INSERT INTO assignment (id, tenant_id, person_id, site_id, shift_start, shift_end) "
        "VALUES (%s, %s, %s, %s, now() - interval '1 hour', now() + interval '7 hours')",
        (tenant, tenant, person, site),
    )
    open_signed_in(
        page,
        stack.endpoints["gateway"],
        make_token(tenant=tenant, capabilities=("noc:view", "noc:view_all_clients", "noc:view_pii")),
    )
    expect(page.locator("#empty")).to_be_visible()
    connection.execute(
        "INSERT INTO attendance (id, tenant_id, site_id, person_id, verified_person_id, event_type, occurred_at) "
        "VALUES (%s, %s, %s, %s, %s, 'CHECK_IN', now())",
        (row, tenant, site, person, other),
    )
    found = page.locator("#feed li", has_text="WRONG_PERSON")
    expect(found).to_have_count(1, timeout=LIVE_MS)
    expect(found).to_contain_text("Harbour Tower")
    expect(found).to_contain_text("Valerie Ondo")
    expect(page.locator("#empty")).to_be_hidden()
    evidence = found.locator(".evidence dl")
    expect(evidence).to_be_hidden()
    found.get_by_text("Evidence", exact=True).click()
    expect(evidence).to_contain_text(f"expected person id{person}")
    expect(evidence).to_contain_text(f"observed person id{other}")


def test_the_token_leaves_the_address_bar_and_is_never_sent_in_an_address(
    page: Page, own_gateway: GatewayProcess
) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("websocket", lambda socket: requested.append(socket.url))
    token = own_gateway.token()
    open_signed_in(page, own_gateway.http, token)
    assert page.url == f"{own_gateway.http}/"
    assert any(url.startswith("ws://") for url in requested)
    # The browser's own record of what was navigated to has the fragment; what goes out on the wire has not.
    assert not any(token in url.split("#", 1)[0] for url in requested)
    assert token not in own_gateway.words()
    page.reload()
    expect(page.locator("#state")).to_have_text("Live", timeout=LIVE_MS)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#sign-in")).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_a_pasted_token_signs_in_and_a_bad_one_is_explained(page: Page, own_gateway: GatewayProcess) -> None:
    page.goto(own_gateway.http)
    page.get_by_label("Token").fill("nonsense")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Not signed in", timeout=LIVE_MS)
    page.get_by_label("Token").fill(own_gateway.token(4))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#state")).to_have_text("Live", timeout=LIVE_MS)
    expect(page.locator("#fact-tenant")).to_have_text("4")


@pytest.mark.parametrize("tenant", [1, 2])
def test_signing_in_as_another_in_an_open_tab_leaves_nothing_of_the_first(
    page: Page, own_gateway: GatewayProcess, tenant: int
) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token(1))
    own_gateway.feed.write(*(anomaly(1, seq) for seq in range(1, 6)), anomaly(2, 1))
    expect(page.locator("#feed li")).to_have_count(5, timeout=LIVE_MS)
    expect(page.locator("#announcer")).not_to_be_empty()
    # Another fragment is no new page: what the first one saw would stay.
    page.evaluate("code => { location.hash = `code=${code}`; }", code_for(own_gateway, own_gateway.token(tenant)))
    question = page.get_by_role("alertdialog")
    if tenant != 1:
        expect(question).to_contain_text(
            f"as tester of tenant {tenant}. Now you are tester of tenant 1.", timeout=LIVE_MS
        )
        page.get_by_role("button", name="Sign in").click()
    expect(question).to_be_hidden()
    expect(page.locator("#window")).to_have_text("0 since sign-in", timeout=LIVE_MS)
    expect(page.locator("#state")).to_have_text("Live", timeout=LIVE_MS)
    expect(page.locator("#fact-tenant")).to_have_text(str(tenant))
    expect(page.locator("#feed li")).to_have_count(0)
    expect(page.locator("#announcer")).to_be_empty()
    assert set(page.locator(".chip b").all_text_contents()) == {"0"}
    seq = 6 if tenant == 1 else 2
    own_gateway.feed.write(anomaly(tenant, seq))
    expect(page.locator("#feed li")).to_have_count(1, timeout=LIVE_MS)
    expect(page.locator("#feed .between")).to_have_count(0)
    expect(page.locator("#fact-seq")).to_have_text(str(seq))
    expect(page.locator("#window")).to_have_text("1 since sign-in")


def test_a_token_that_may_not_view_is_not_tried_again(page: Page, own_gateway: GatewayProcess) -> None:
    page.goto(own_gateway.http)
    page.fill("#token", own_gateway.token(None))
    page.click("#sign-in-form button")
    expect(page.locator("#state")).to_have_text("Refused", timeout=LIVE_MS)
    expect(page.locator("#banner")).to_contain_text("tenant")
    closes = f'watchfloor_gateway_closes_total{{code="{int(CloseCode.FORBIDDEN)}"}}'
    # Longer than the first delays of a reconnecting client.
    stays(lambda: own_gateway.metric(closes) == 1, "the page connected once", for_s=3)


def test_messages_of_each_kind_are_listed_newest_first(page: Page, own_gateway: GatewayProcess) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token())
    own_gateway.feed.write(anomaly(1, 1, findings=2), ticket(1, 2), limited(1, 3))
    expect(page.locator("#feed li")).to_have_count(4, timeout=LIVE_MS)
    assert titles(page) == [
        "50 events were not scored",
        "T-2: open → resolved",
        "Somebody else checked in as Va***o",
        "Somebody else checked in as Va***o",
    ]
    assert page.locator("#feed .badge").all_text_contents() == ["LIMIT", "TICKET", "CRITICAL", "HIGH"]
    expect(page.locator("#fact-seq")).to_have_text("3")
    expect(page.locator("#announcer")).to_contain_text("Somebody else checked in")
    tickets = page.get_by_role("button", name="Tickets")
    tickets.press("Space")
    expect(tickets).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#feed li:visible")).to_have_count(3)


def test_a_stopped_gateway_shows_and_the_page_comes_back_by_itself(page: Page, own_gateway: GatewayProcess) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token())
    own_gateway.feed.write(anomaly(1, 1))
    expect(page.locator("#feed li")).to_have_count(1, timeout=LIVE_MS)
    assert own_gateway.stop() == 0
    expect(page.locator("#state")).to_have_text("Disconnected", timeout=LIVE_MS)
    expect(page.locator("#banner")).to_contain_text("Not live")
    expect(page.get_by_role("button", name="Connect now")).to_be_visible()
    own_gateway.feed.write(anomaly(1, 2), anomaly(1, 3))
    own_gateway.start()
    expect(page.locator("#state")).to_have_text("Live", timeout=SLOW_MS)
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#feed li")).to_have_count(3, timeout=LIVE_MS)
    own_gateway.feed.write(anomaly(1, 4))
    expect(page.locator("#feed li")).to_have_count(4, timeout=LIVE_MS)
    expect(page.locator("#feed .between")).to_have_count(0)


def test_over_restarts_under_load_every_row_is_shown_once(page: Page, own_gateway: GatewayProcess) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token())
    seq = 0
    for how in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(10):
            own_gateway.feed.write(*(anomaly(1, seq + step, findings=2) for step in range(1, 4)))
            seq += 3
            let_pass(0.02)
        own_gateway.stop(how)
        own_gateway.feed.write(*(anomaly(1, seq + step, findings=2) for step in range(1, 6)))
        seq += 5
        own_gateway.start()
        expect(page.locator("#state")).to_have_text("Live", timeout=SLOW_MS)
    own_gateway.feed.write(anomaly(1, seq + 1, findings=2))
    expect(page.locator("#fact-seq")).to_have_text(str(seq + 1), timeout=LIVE_MS)
    expect(page.locator("#feed li")).to_have_count(2 * (seq + 1), timeout=LIVE_MS)
    ids = page.locator("#feed li").evaluate_all("rows => rows.map(row => row.dataset.id)")
    assert len(set(ids)) == 2 * (seq + 1)
    expect(page.locator("#feed .between")).to_have_count(0)


def test_names_are_text_and_never_markup(page: Page, own_gateway: GatewayProcess) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    open_signed_in(page, own_gateway.http, own_gateway.token(1, "noc:view", "noc:view_all_clients", "noc:view_pii"))
    own_gateway.feed.write(anomaly(1, 1, person_name=hostile, site_name=hostile), ticket(1, 2, description=hostile))
    expect(page.locator("#feed li")).to_have_count(2, timeout=LIVE_MS)
    assert titles(page)[1] == f"Somebody else checked in as {hostile}"
    assert page.locator("#feed img, #feed script").count() == 0
    assert page.title() == "Watchfloor"


def test_the_list_is_bounded(page: Page, own_gateway: GatewayProcess) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token())
    own_gateway.feed.write(*(anomaly(1, seq) for seq in range(1, 801)))
    expect(page.locator("#fact-seq")).to_have_text("800", timeout=LIVE_MS)
    expect(page.locator("#window")).to_have_text("newest 300 of 800", timeout=LIVE_MS)
    expect(page.locator("#feed li")).to_have_count(300)


def test_a_loss_in_the_feed_is_shown(page: Page, own_gateway: GatewayProcess) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token())
    own_gateway.feed.write(anomaly(1, 1))
    expect(page.locator("#feed li")).to_have_count(1, timeout=LIVE_MS)
    own_gateway.feed.write(anomaly(1, 5))
    line = "Messages 2 to 4 cannot be shown: the log lost them"
    expect(page.locator("#feed .between")).to_have_text(line, timeout=LIVE_MS)


def test_the_page_reads_well_in_both_colour_schemes(page: Page, own_gateway: GatewayProcess) -> None:
    open_signed_in(page, own_gateway.http, own_gateway.token())
    own_gateway.feed.write(anomaly(1, 1, findings=2), ticket(1, 2), limited(1, 3))
    expect(page.locator("#feed li")).to_have_count(4, timeout=LIVE_MS)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for selector in (".title", ".detail", ".badge", ".time", ".chip", ".window", "#state-text", ".facts dt"):
            for ratio in page.locator(selector).evaluate_all(CONTRAST):
                assert ratio >= 4.5, f"{selector} in {scheme} has a contrast of {ratio:.2f}"
