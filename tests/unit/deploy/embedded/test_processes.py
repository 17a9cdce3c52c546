"""Running children are recorded, and what a launcher left behind is stopped in order."""

import json
import signal
from pathlib import Path

import psutil
import pytest
from support.child_processes import SLEEP, Make, up

from deploy.embedded.processes import ProcessRecord, RecordFile, is_alive, read_records, stop_in_order, stop_leftovers


def test_a_running_child_is_recorded_with_its_identity(make: Make, tmp_path: Path) -> None:
    child = make(SLEEP)
    child.start()
    [record] = read_records(tmp_path / "launcher-1.json")
    assert (record.name, record.pid) == ("one", child.pid)
    assert is_alive(record)


def test_another_process_with_a_recorded_id_is_left_alone(make: Make) -> None:
    child = make(SLEEP)
    child.start()
    assert child.pid is not None
    reused = ProcessRecord("old", child.pid, psutil.Process(child.pid).create_time() - 3600, 1, signal.SIGKILL, 1.0)
    assert stop_in_order([reused]) == []
    assert child.running()


def test_leftovers_stop_rank_by_rank(make: Make, tmp_path: Path) -> None:
    said = "import signal, sys, time\nsignal.signal(15, lambda *_: (print('ended', time.time_ns()), sys.exit()))\n"
    gateway, kafka = make(said + SLEEP, "gateway", 10), make(said + SLEEP, "kafka", 40)
    for child in (kafka, gateway):
        child.start()
        up(child)
    assert sorted(stop_leftovers(tmp_path)) == ["gateway", "kafka"]
    ended = [int(child.last_words(1)[0].split()[1]) for child in (gateway, kafka)]
    assert ended[0] < ended[1]
    assert stop_leftovers(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"pid": 1}]', "null"])
def test_a_broken_record_file_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "launcher-7.json").write_text(text)
    assert stop_leftovers(tmp_path) == []


def test_records_are_whole_at_any_time(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "launcher-1.json")
    for number in range(3):
        file.put(ProcessRecord(f"p{number}", number, 0.0, 1, 15, 1.0))
        assert len(json.loads(file.path.read_text())) == number + 1
    file.delete()
    assert not list(tmp_path.iterdir())
