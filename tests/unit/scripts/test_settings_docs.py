"""docs/settings.md says what common/settings says."""

import subprocess
import sys

from support.paths import ROOT

from common.settings.load import setting_names


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "settings_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_in_it_below_its_group() -> None:
    text, documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), set()
    for line in text.splitlines():
        if line.startswith("#"):
            group = line.strip("#` []")
        elif line.startswith("| `"):
            documented.add(f"{group}.{line.split('`')[1]}")
    assert set(setting_names()) <= documented
