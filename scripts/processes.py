"""Commands in processes of their own, which need not import TensorFlow again.

They are forked from a server that has imported everything and computed nothing: once TensorFlow has
started its threads, no process can be forked from it.
"""

import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["keras", "tensorboard", "semisup.run.training", "semisup.task"])


class Process:
    """A process that calls a function, its output captured.

    Args:
        function: a function of a module.
        arguments: what it is called with.
    """

    def __init__(self, function, *arguments):
        self._folder = tempfile.mkdtemp()
        self._outputs = [Path(self._folder, name) for name in ("out", "err")]
        self._process = _SERVER.Process(
            target=_call, args=(self._outputs, function, arguments), daemon=True
        )
        self._process.start()

    def poll(self):
        """Return the exit status, negative for the number of a signal, or None while it runs."""
        return self._process.exitcode

    def send_signal(self, number):
        """Send a signal."""
        os.kill(self._process.pid, number)

    def finish(self, timeout):
        """Wait for the end.

        Returns:
            Exit status, standard output and standard error.
        """
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            self._process.kill()
        # A process that is killed at once has no outputs yet.
        texts = [
            path.read_text(errors="replace") if path.exists() else "" for path in self._outputs
        ]
        shutil.rmtree(self._folder)
        assert status is not None, texts
        return status, *texts


def run(module, *flags):
    """Run the command of a module, which has a function `main`, with these flags."""
    sys.argv = [module, *flags]
    importlib.import_module(module).main()


def _call(outputs, function, arguments):
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    # Who started us in the background of a shell, or for longer than it, hands on what is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    function(*arguments)
