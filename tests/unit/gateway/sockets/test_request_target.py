import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sockets.handshake import endpoint_of
from gateway.sockets.request_target import path_of

PATHS = ["/", "/metrics", "/readyz", "/client/feed.js", "/ws/noc/", "/api/noc/health/"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["", "?", "?x=1&y=%20", "?a?b"])
def test_a_plain_target_is_its_path(path: str, query: str) -> None:
    assert path_of(path + query) == path


@pytest.mark.parametrize(
    "target",
    ["//x/metrics", "//metrics", "///metrics", "http://x/metrics", "http:/metrics", "x/metrics", "metrics", "", "*", "x:443",
     "/./metrics", "/x/../metrics", "/..", "/.", "/%2e%2e/metrics", "/%6detrics", "/metrics%00", "/metrics%2f", "/metrics;a=1", "/metrics#x",
     "/metrics\t", "/metrics\r\nX: y", "\\\\x\\metrics", "/\\x/metrics", "/metrics?x#y", "/metrics?x y", "/metrics?\x7f", "/m\xe9trics",
     "/x//metrics", "/ws//noc/", "/metrics:80", "/@x/metrics", "/metrics\x00"],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_nothing(target: str) -> None:
    assert path_of(target) is None
    assert endpoint_of(target) is None


@given(st.text("/.%2eEfFmetrics?#;:@\\x \t", max_size=20))
def test_no_target_becomes_another_path_than_it_spells(target: str) -> None:
    path = path_of(target)
    assert path is None or target in (path, *[f"{path}?{target.partition('?')[2]}"])
