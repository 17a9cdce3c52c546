"""A short text that identifies everything in code and settings that decides the worker's outputs. Pure.

The engine stores it with each generation, so that a replay can say that the live run used other code or settings.
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
"""The worker's own settings that change no output. Any other counts, and so does one that is added later: a digest that
differs without need is a false alarm, one that does not differ hides something."""


def output_digest(release: str, detectors: Iterable[Detector], worker: WorkerSettings, source: SourceSettings) -> str:
    """The digest.

    The engine's settings are not part of it: given a journal they decide nothing.

    Args:
        release: version of the program, which stands for its code.
        detectors: those that run, in their order, with the defaults of their policies.
        worker: the application's part of it counts.
        source: the names of a customer's tables and columns count.

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
