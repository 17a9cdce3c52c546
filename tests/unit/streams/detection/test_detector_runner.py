"""The boundary around a detector: one that raises costs nobody else anything."""

from typing import Any, NoReturn

from support.changes import TOPICS, Worker, check_in

from detectors.attendance.wrong_person import WrongPerson


class Raising(WrongPerson):
    name = "raising"

    def judge(self, *_: Any) -> NoReturn:
        raise ZeroDivisionError("a defect")


def test_a_detector_that_raises_stops_neither_the_others_nor_the_stream() -> None:
    worker = Worker(detectors=(Raising(), WrongPerson()))
    first, second = worker.run([check_in(1, lsn=1, verified_person_id=2), check_in(2, lsn=2, verified_person_id=2)])
    assert [first.source.key, second.source.key] == ["1", "2"]
    headers = [dict(letter.headers) for letter in worker.outputs[TOPICS.dead_letters]]
    assert [header["detector"] for header in headers] == [b"raising", b"raising"]
    assert headers[0]["exception_class"] == b"ZeroDivisionError"
    assert headers[0]["reason"] == b"a defect"
