"""A program that runs in front of ours is left to answer Ctrl-C by itself, and gets our SIGTERM."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tinydl.interrupts import run_in_front

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes")

ASKS_ONCE = """
import sys, time
for ready, word in (("ready", "asked"), ("again", "left")):
    try:
        print(ready, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.5)  # longer than subprocess.run would wait before it kills
        print(word, flush=True)
sys.exit(5)
"""
IN_FRONT = "import sys; from tinydl.interrupts import run_in_front; sys.exit(run_in_front(sys.argv[1:]))"


@contextmanager
def in_front(program):
    """Run `program` in front of ours, in a session of its own, as a terminal does; wait until it is ready."""
    command = [sys.executable, "-c", IN_FRONT, sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as ours:
        try:
            assert ours.stdout.readline() == "ready\n"
            yield ours
        finally:
            if ours.poll() is None:
                os.killpg(ours.pid, signal.SIGKILL)


def test_control_c_is_for_the_other_program_to_answer():
    with in_front(ASKS_ONCE) as ours:
        os.killpg(ours.pid, signal.SIGINT)
        assert [ours.stdout.readline() for _ in range(2)] == ["asked\n", "again\n"]
        os.killpg(ours.pid, signal.SIGINT)
        assert ours.stdout.readline() == "left\n"
        assert ours.wait(30) == 5


def test_sigterm_is_passed_on():
    with in_front(ASKS_ONCE) as ours:
        ours.terminate()
        assert ours.wait(30) == 128 + signal.SIGTERM
        assert ours.stdout.read() == ""


def test_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert run_in_front([sys.executable, "-c", "import os, sys; sys.exit(len(os.listdir()))"], tmp_path) == 0
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    with pytest.raises(OSError, match="no-such-program"):
        run_in_front(["no-such-program"])
