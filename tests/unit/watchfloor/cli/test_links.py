import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.errors import WatchfloorError
from watchfloor.cli.links import sign_in_link


class Gateway(ThreadingHTTPServer):
    status = 201
    asked: tuple[str, str | None] = ("", None)


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        self.server.asked = (self.path, self.headers["Authorization"])
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps({"code": "once"}).encode() if self.server.status == 201 else b"refused\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway(("127.0.0.1", 0), _Handler)
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_a_link_has_a_code_and_no_token(gateway: Gateway) -> None:
    address = f"http://127.0.0.1:{gateway.server_port}"
    assert sign_in_link(address, "a.b.c") == f"{address}/#code=once"
    assert gateway.asked == ("/api/noc/sign-in-codes", "Bearer a.b.c")
    gateway.status = 401
    with pytest.raises(WatchfloorError, match="refused"):
        sign_in_link(address, "a.b.c")


def test_a_gateway_that_does_not_answer_is_named() -> None:
    with pytest.raises(WatchfloorError, match="gives no code"):
        sign_in_link("http://127.0.0.1:9", "a.b.c")
