"""Executors of commands: as processes of this machine, or as tasks on a Ray cluster."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

from semisup.errors import UserError, first_line

_PATIENCE_SECONDS = 120
_POLL_SECONDS = 0.1


def run_commands(commands, log, cwd):
    """Run commands one after the other, until one fails.

    Args:
        commands: lists of a program and its arguments.
        log: file that their output is appended to.
        cwd: folder to run them in.

    Returns:
        Exit status of the last one. On an interruption, the running one first saves and stops.
    """
    os.makedirs(os.path.dirname(log), exist_ok=True)
    for command in commands:
        with open(log, "ab") as output:
            # In a session of its own, so that Ctrl-C at the terminal reaches it only through us.
            process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=cwd, start_new_session=True
            )
            try:
                # Wait in short pieces, since an interruption by Ray does not end a wait.
                while (status := process.poll()) is None:
                    time.sleep(_POLL_SECONDS)
            except BaseException:
                _stop(process)
                raise
        if status:
            return status
    return 0


def _stop(process):
    """Let a training save before it ends."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_SECONDS)
    process.kill()


def last_line(path, start=0):
    """Return the last line of a log that says something, or a note that there is none.

    Args:
        path: the file.
        start: byte to begin at.
    """
    try:
        with open(path, "rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "it has written nothing"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class LocalExecutor:
    """An executor that runs commands as processes of this machine."""

    def submit(self, commands, log, cwd):
        """Start commands.

        Args:
            commands: see `run_commands`.
            log: see `run_commands`.
            cwd: see `run_commands`.

        Returns:
            A handle for the other methods.
        """
        script = (
            "import json, sys; from scripts.executors import main; "
            "main(*json.loads(sys.stdin.readline()))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            cwd=cwd,
            start_new_session=True,
            text=True,
        )
        # The pipe stays open: when it closes, the process knows that nobody waits for it any more.
        process.stdin.write(json.dumps([commands, log, cwd]) + "\n")
        process.stdin.flush()
        return process

    def status(self, handle):
        """Return the exit status of what was started, or None while it runs."""
        status = handle.poll()
        if status is not None:
            handle.stdin.close()
        return status

    def stop(self, handles):
        """Stop all that runs, after it has saved."""
        for process in handles:
            process.send_signal(signal.SIGTERM)
        for process in handles:
            process.wait()
            process.stdin.close()

    def close(self):
        """Do nothing: nothing is left to close."""


def main(commands, log, cwd):
    """Run commands as a process of their own that ends at SIGTERM or with its parent."""

    def end(number, frame):
        raise SystemExit(128 + number)

    def end_with_parent():
        # Not through `sys.stdin`: its lock would be held if this process ends first.
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.exit(run_commands(commands, log, cwd))


class RayExecutor:
    """An executor that runs commands on Ray; all machines share project, data and runs.

    Args:
        address: address of the cluster, or empty to start one on this machine.
        cpus: processor cores that a task takes.
        gpus: GPUs that a task takes; may be a fraction.

    Raises:
        UserError: if Ray is not installed, or nobody answers at the address.
    """

    def __init__(self, address="", cpus=1.0, gpus=0.0):
        try:
            import ray
        except ImportError:
            raise UserError("--executor=ray needs Ray: pip install '.[cluster]'") from None
        self._ray = ray
        try:
            ray.init(address=address or "local", log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"--address={address}: {first_line(error)}") from None
        # Pickle by value, since a worker may not find this module.
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        self._remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(run_commands)

    def submit(self, commands, log, cwd):
        """Start commands when the cluster has room: see `LocalExecutor.submit`."""
        return self._remote.remote(commands, log, cwd)

    def status(self, handle):
        """Return the exit status of a task, or None while it waits or runs."""
        done, _ = self._ray.wait([handle], timeout=0)
        if not done:
            return None
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            print(f"ray: {first_line(error)}")
            return 1

    def stop(self, handles):
        """Stop all that waits or runs, after it has saved."""
        for handle in handles:
            self._ray.cancel(handle)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while handles and time.monotonic() < deadline:
            _, handles = self._ray.wait(handles, num_returns=len(handles), timeout=1)

    def close(self):
        """Leave the cluster."""
        self._ray.shutdown()
