"""docs/settings.md says what common/settings.py says."""

import subprocess
import sys

from support.paths import ROOT

from common.settings import Settings


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "settings_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_in_it() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for section, field in Settings.model_fields.items():
        assert f"## `[{section}]`" in text
        assert field.annotation is not None
        for name in field.annotation.model_fields:
            assert f"| `{name}` |" in text
