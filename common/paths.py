"""Where the embedded stack keeps its state and its downloads on this machine."""

import os
from pathlib import Path

from platformdirs import user_cache_dir, user_data_dir

CONFIG_FILE = "watchfloor.toml"
"""In the state directory: the settings of the running embedded stack, readable by its owner only."""
ENDPOINTS_FILE = "endpoints.json"
"""In the state directory while the stack is ready: the addresses and process ids of contract v1."""


def default_state_dir() -> Path:
    """`WATCHFLOOR_STATE_DIR`, or `watchfloor` in the user's data directory."""
    return Path(os.environ.get("WATCHFLOOR_STATE_DIR") or user_data_dir("watchfloor"))


def default_cache_dir() -> Path:
    """`WATCHFLOOR_CACHE_DIR`, or `watchfloor` in the user's cache directory; holds the resolved jars."""
    return Path(os.environ.get("WATCHFLOOR_CACHE_DIR") or user_cache_dir("watchfloor"))
