"""Tests of the signals that ask a training to stop."""

import os
import signal

import pytest

from semisup.machine.signals import STOPPING, StopSignals


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_noted_and_a_second_one_has_its_usual_effect(number, monkeypatch):
    told = []
    earlier = signal.signal(number, lambda *arguments: told.append("usual"))
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), number)
            assert (signals.received, told) == (number, [])
            os.kill(os.getpid(), number)
            assert told == ["usual"]
    finally:
        signal.signal(number, earlier)


def test_a_closed_terminal_that_is_ignored_stays_ignored():
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
        assert signals.received == 0
    finally:
        signal.signal(signal.SIGHUP, earlier)
