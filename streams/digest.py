"""A digest of the code and the settings that determine the worker's outputs. Pure.

The engine stores it with each generation, so that a replay can report that the live run used other code or settings.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from common.settings.engine import EngineSettings
from common.settings.source import SourceSettings
from common.settings.worker import WorkerSettings
from detectors.interface import Detector

_CHARACTERS = 16
_WITHOUT_EFFECT = frozenset({"data_dir", "metrics", "breaker"})
"""The worker's settings that change no output. All others count, including ones that are added later: a digest that
differs without need is only a false alarm, but one that should differ and does not hides a difference."""


def output_digest(release: str, detectors: Iterable[Detector], worker: WorkerSettings, source: SourceSettings) -> str:
    """The digest.

    The engine's settings are not part of it, because with a journal they do not affect the outputs.

    Args:
        release: the version of the program, which identifies its code.
        detectors: the running detectors in their order, with the defaults of their policies.
        worker: the settings of the worker, of which only the application's part counts.
        source: the source settings, of which the names of a customer's tables and columns count.

    Returns:
        16 hexadecimal digits.
    """
    own = set(WorkerSettings.model_fields) - set(EngineSettings.model_fields) - _WITHOUT_EFFECT
    decisive = [
        release,
        [(detector.name, msgspec.structs.asdict(detector.policy)) for detector in detectors],
        worker.model_dump(mode="json", include=own),
        source.model_dump(mode="json", include={"tables"}),
    ]
    return hashlib.sha256(msgspec.json.encode(decisive, order="deterministic")).hexdigest()[:_CHARACTERS]
