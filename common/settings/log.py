"""The settings of the logs."""

from typing import Literal

from common.settings.model import Section


class LogSettings(Section):
    """What the processes write to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
