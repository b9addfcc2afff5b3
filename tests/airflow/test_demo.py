"""What the demonstrations do when they are told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CODE = """
import time
from demo.standalone import interrupt_on_signals
interrupt_on_signals()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("ending", flush=True)
    time.sleep(1)
    print("ended")
"""


def test_sigterm_ends_what_a_shell_started_in_the_background_and_nothing_breaks_that_off():
    # A shell ignores SIGINT for such a process, and that is inherited.
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, old)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("ended\n", None)
    assert process.returncode == 0
