"""Scripts are commands, not a package: their folder is put on the path, as Python does for a command."""

import sys

from support.paths import ROOT

sys.path.append(str(ROOT / "scripts"))
