"""Finds every detector: the object named DETECTOR of each module in the folders of detectors.

A new file in such a folder is all that it takes to run a detector, to document and to evaluate it.
"""

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Final

import detectors
from detectors.interface import Detector

_ORDER: Final = (
    "data_quality", "attendance_order", "wrong_person", "buddy_punching", "unauthorized_site", "unexpected_location",
    "impossible_shifts", "late_check_in", "overtime", "missing_check_out", "task_overdue", "checkpoints_skipped",
    "unusual_completion_time", "ticket_sla_breach", "geofence_violation", "location_spoofing", "unexpected_movement",
    "ticket_escalated", "work_order_overdue", "device_offline", "phone_events",
)  # fmt: skip
"""The order in which the findings of one event are written, so that a replay writes the same bytes. Detectors that are
not listed follow in the order of their names."""


def find_detectors(package: ModuleType = detectors) -> tuple[Detector, ...]:
    """The detectors in the sub-packages of a package, in the order in which the findings of one event are written.

    Packages inside those, such as `helpers`, and the sub-package `shared` hold no detectors.

    Raises:
        TypeError: a module there has no detector of its name called DETECTOR, or two modules have one name.
    """
    found: dict[str, Detector] = {}
    for path in _module_paths(package):
        name, detector = path.rpartition(".")[2], getattr(import_module(path), "DETECTOR", None)
        if not isinstance(detector, Detector) or getattr(detector, "name", None) != name:
            raise TypeError(f"{path} has no DETECTOR of this name; what is no detector belongs in a folder `helpers`")
        if name in found:
            raise TypeError(f"two detectors are called {name}: {path} is the second one")
        found[name] = detector
    return tuple(sorted(found.values(), key=_position))


def _module_paths(package: ModuleType) -> Iterator[str]:
    for folder in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if folder.ispkg and not folder.name.endswith(".shared"):
            for module in pkgutil.iter_modules(import_module(folder.name).__path__, f"{folder.name}."):
                if not module.ispkg:
                    yield module.name


def _position(detector: Detector) -> tuple[int, str]:
    return _ORDER.index(detector.name) if detector.name in _ORDER else len(_ORDER), detector.name


DETECTORS: Final = find_detectors()
"""Every detector, in the order in which the findings of one event are written."""


def named(names: Iterable[str] | None) -> tuple[Detector, ...]:
    """The detectors of these names, in the registry's order; all of them for None.

    Raises:
        KeyError: a name that no detector has.
    """
    if names is None:
        return DETECTORS
    wanted = set(names)
    for name in wanted - {detector.name for detector in DETECTORS}:
        raise KeyError(name)
    return tuple(detector for detector in DETECTORS if detector.name in wanted)
