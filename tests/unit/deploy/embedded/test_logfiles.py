"""Logs are cut while their writer goes on, and their ends can be shown."""

from pathlib import Path

from deploy.embedded.logfiles import cut_log, last_lines, open_log


def test_a_log_over_its_limit_is_set_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    with open_log(path, 1000) as log:
        log.write(b"a" * 1001)
        assert cut_log(path, 1000)
        log.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "one.log.1").stat().st_size == 1001
    assert not cut_log(path, 1000)


def test_last_lines_begin_where_the_child_began_and_hold_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    path.write_bytes(b"old\n\x1b[31mred\x1b[0m\n\nlast \xff\n")
    assert last_lines(path, 5, start=4) == ["[31mred[0m", "last \N{REPLACEMENT CHARACTER}"]
    assert last_lines(path, 1) == ["last \N{REPLACEMENT CHARACTER}"]
    assert last_lines(tmp_path / "none", 5) == []
