"""What happens when the launcher is killed."""

import subprocess
import sys
from pathlib import Path

import psutil
from support.waiting import until


def test_the_guard_stops_the_children_of_a_killed_launcher(tmp_path: Path) -> None:
    # The launcher: starts a child and the guard, says both ids, then sleeps until it is killed.
    program = f"""
import os, sys, time, pathlib, threading
from deploy.embedded.child import ChildSpec
from deploy.embedded.launcher import Launcher
from deploy.embedded.options import StackOptions
from deploy.embedded.progress import PlainReporter
from deploy.embedded.state import StateDir
state = StateDir(pathlib.Path({str(tmp_path / "s")!r})); state.open()
launcher = Launcher(state, StackOptions(), PlainReporter(), threading.Event())
launcher.start_orphan_stopper()
child = launcher.start(ChildSpec("one", (sys.executable, "-c", "import time; time.sleep(60)"), state.log("one"), 1))
state.write_endpoints({{}})
print(child.pid, flush=True)
time.sleep(60)
"""
    launcher = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    child = psutil.Process(int(launcher.stdout.readline()))
    launcher.kill()
    launcher.wait()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child is stopped", within_s=10)
    until(lambda: not list((tmp_path / "s" / "run").iterdir()), "the guard clears the records", within_s=10)
    assert not (tmp_path / "s" / "endpoints.json").exists()
