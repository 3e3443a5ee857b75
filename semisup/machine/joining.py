"""How a process joins the other hosts of a training, and how it ends when one of them is gone.

See `semisup.machine.hosts` for what they do together.
"""

import contextlib
import ctypes
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from semisup.architectures import transfer
from semisup.cli import terminal
from semisup.errors import TrainingError, UserError, first_line, shown
from semisup.machine import environment, hosts

START_SECONDS = 300
"""How long a host waits for the others at the start."""

HEARTBEAT_SECONDS = 20
"""After how long without a sign of life a host counts as dead."""

_COPIED = ("config.json", "data.json", "metrics.jsonl", "results.json", "network.keras")
_COPIED_FOLDERS = ("checkpoints",)
_BLOCK_BYTES = 2**26
_OWN = ("host_index", "coordinator", "logdir", "data_dir", "cache_dir", "live_config", "progress")
"""Settings in which hosts may differ."""

_LOST = (
    "another host has ended, or cannot be reached: see what it has printed; the same commands go "
    "on from the last checkpoint"
)
_OF_CONNECTIONS = ("Gloo", "NCCL", "coordination service")


@contextlib.contextmanager
def joined(config, task):
    """Let this process train together with the other hosts for as long as the block lasts.

    Args:
        config: a `TrainConfig`; with `hosts` 1, nothing is done.
        task: its `Task`.

    Yields:
        The configuration to train with: on host 0 the given one, with the number of hosts.

    Raises:
        UserError: if hosts cannot train so, do not meet, or have other settings.
        TrainingError: if the connection to another host is lost.
    """
    if config.hosts == 1:
        yield config
        return
    _check(config, task)
    end = _End(_not_met(config))
    end.catch_aborts()
    with contextlib.ExitStack() as stack:
        try:
            _connect(config)
            end.line = f"host {hosts.share().host}: {_LOST}"
            config = dataclasses.replace(config, hosts=hosts.count())
            _check_settings(config)
            live = config.live_config
            config = dataclasses.replace(config, live_config=hosts.from_first(lambda: live))
            if hosts.share().host:
                terminal.hush()
                end.scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="semisup-"))
                config = _apart(config, end.scratch)
            yield config
            # The run is written by now; whoever leaves earlier looks as if it had died.
            hosts.everywhere(True)
            end.status = 0
        except KeyboardInterrupt:
            end.status = 130
            raise
        except Exception as error:
            end.status = 2 if isinstance(error, UserError) else 1
            if any(text in str(error) for text in _OF_CONNECTIONS):
                raise TrainingError(f"{end.line} ({shown(first_line(error))})") from None
            raise


def copy_run(run):
    """Bring what a training goes on from to all hosts.

    Args:
        run: the `RunDirectory`; host 0's is read, the others' is written.
    """
    if hosts.count() == 1:
        return
    root = Path(run.path)

    def sizes():
        paths = [root / name for name in _COPIED]
        paths += [path for name in _COPIED_FOLDERS for path in sorted(root.glob(f"{name}/*"))]
        return {str(p.relative_to(root)): p.stat().st_size for p in paths if p.is_file()}

    for name, size in hosts.from_first(sizes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb" if hosts.share().host else "rb") as file:
            for start in range(0, size, _BLOCK_BYTES):
                length = min(_BLOCK_BYTES, size - start)
                block = bytes(length) if hosts.share().host else file.read(length)
                block = _broadcast(np.frombuffer(block, np.uint8))
                if hosts.share().host:
                    file.write(block.tobytes())


def check_data(record):
    """Check that all hosts have the same data.

    Args:
        record: the record of a `TaskData`.

    Raises:
        UserError: if a host has other data than host 0; on all hosts.
    """
    if hosts.count() > 1:
        digests = {name: _digest(value) for name, value in record.items()}
        if found := _difference(hosts.everywhere(digests)):
            host, names = found
            raise UserError(
                f"host {host} has other data than host 0: {', '.join(names[:3])} differ"
            )


def _check(config, task):
    """Check that a training can be shared by hosts."""
    asked = f"--hosts={config.hosts}"
    if keras.backend.backend() != "jax":
        raise UserError(
            f"{asked} needs JAX: set KERAS_BACKEND=jax (this is {keras.backend.backend()})"
        )
    if not task.is_shared_by_hosts:
        raise UserError(f"{asked}: {task.title.lower()} trains on one host only")
    refused = {
        "trainable": config.trainable == transfer.HEAD,
        "cross_validate": getattr(config, "cross_validate", 0),
        "weak_label_share": getattr(config, "weak_label_share", 0),
    }
    for name in (name for name, is_set in refused.items() if is_set):
        raise UserError(f"--{name}={getattr(config, name)} works on one host only, not {asked}")


def _connect(config):
    """Connect to all other hosts."""
    settings = {}
    if config.coordinator:
        settings = {
            "coordinator_address": config.coordinator,
            "num_processes": config.hosts,
            "process_id": config.host_index,
            # A cluster may run several trainings that know nothing of it.
            "cluster_detection_method": "deactivate",
        }
    elif config.devices > 1 and (local := _local_index()) is not None:
        # On a cluster, JAX would give each process one device.
        first = local * config.devices
        settings["local_device_ids"] = list(range(first, first + config.devices))
    import jax

    try:
        jax.distributed.initialize(
            **settings,
            initialization_timeout=START_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        if not config.coordinator and "should be defined" in str(error):
            raise UserError(
                f"--hosts={config.hosts}: no cluster says where the hosts are; give --host_index "
                "and --coordinator"
            ) from None
        raise UserError(f"{_not_met(config)} ({shown(first_line(error))})") from None
    found = jax.process_count()
    if config.hosts not in (0, found):
        raise UserError(f"--hosts={config.hosts}: the cluster has {found}")


def _not_met(config):
    address = config.coordinator or "the address that the cluster says"
    return (
        f"--hosts={config.hosts}: the hosts have not met at {address} within {START_SECONDS} "
        "seconds; every one has to be started, and to reach it"
    )


def _local_index():
    """Return the number of this process among those of its machine, if SLURM or MPI says it."""
    names = ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK")
    return next((int(os.environ[name]) for name in names if name in os.environ), None)


def _check_settings(config):
    """Check that all hosts have the same settings and libraries."""
    settings = {f"--{n}": v for n, v in config.to_dict().items() if n not in _OWN}
    settings |= {f"the version of {n} ": v for n, v in environment.versions().items()}
    values = hosts.everywhere(settings)
    if found := _difference(values):
        host, names = found
        ours, theirs = (
            ", ".join(f"{name}={shown(values[i].get(name, 'none'))}" for name in names[:3])
            for i in (host, 0)
        )
        raise UserError(f"host {host} has {ours}, host 0 has {theirs}: they have to be the same")


def _apart(config, scratch):
    """Return a configuration for a host that shows and keeps nothing."""
    return dataclasses.replace(
        config,
        logdir=os.path.join(scratch, "run"),
        progress=False,
        histograms=False,
        max_checkpoints=1,
        checkpoint_interval=config.max_steps,
    )


def _difference(values):
    """Return the first host whose named values are not those of host 0, and their names."""
    for host, theirs in enumerate(values):
        every = {**values[0], **theirs}
        if names := [name for name in every if theirs.get(name) != values[0].get(name)]:
            return host, names
    return None


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _broadcast(array):
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(array))


class _End:
    """How this process ends if JAX ends it.

    Args:
        line: what to say then.

    Attributes:
        line: see above.
        scratch: folder to remove then, or None.
        status: exit status, once this process has come to an end by itself; None until then.
    """

    def __init__(self, line):
        self.line = line
        self.scratch = None
        self.status = None

    def catch_aborts(self):
        """Say in one line that another host has died, where JAX would say so in thirty and abort.

        JAX ends a process from a thread of its own, and cannot be told otherwise: it writes to
        the process' standard error, and calls `abort`. What native code writes there is hidden
        until then; what Python writes still goes where it went.
        """
        self._stderr = os.dup(2)
        self._hidden = tempfile.TemporaryFile()  # noqa: SIM115 (open until the end)
        self._handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._say_and_exit)
        library = ctypes.CDLL(None)
        library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        library.signal(signal.SIGABRT, ctypes.cast(self._handler, ctypes.c_void_p))
        sys.stderr.flush()
        os.dup2(self._hidden.fileno(), 2)
        sys.stderr = os.fdopen(os.dup(self._stderr), "w", buffering=1, errors="backslashreplace")

    def _say_and_exit(self, number):
        if self.status is None:
            self._hidden.seek(0)
            written = self._hidden.read()
            if b"JAX distributed service" in written:
                written = f"{self.line}\n".encode()
            os.write(self._stderr, written)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
        os._exit(1 if self.status is None else self.status)
