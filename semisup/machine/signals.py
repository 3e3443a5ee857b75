"""The signals that ask a process to stop. Nothing here imports Keras."""

import signal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals after which a training saves: of Ctrl-C, of `kill`, of a terminal that is closed."""


class StopSignals:
    """A context that notes the signals of `STOPPING`, so that a training can save before it stops.

    A second signal of the same kind has its usual effect. One that is ignored (SIGHUP under
    `nohup`) still is.

    Attributes:
        received: number of the signal, or 0.
    """

    def __init__(self):
        self.received = 0
        self._earlier = {}

    def __enter__(self):
        for number in STOPPING:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error):
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def agree(self):
        """Take over what other processes that train the same model have received: none, here."""

    def _note(self, number, frame):
        self.received = number
        signal.signal(number, self._earlier[number])
