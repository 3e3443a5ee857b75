"""Tests of parallel rendering as a process among others: its script, Ctrl-C, its own end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

RENDERING = """
import os, time

def name_process(indices):
    with open(os.path.join(os.environ["FOLDER"], str(os.getpid())), "w"):
        pass
    time.sleep(0.2)
    return indices
"""
# Without `if __name__ == "__main__"`.
SCRIPT = """
import signal
import rendering
from semisup.data.rendering import parallel
# Tests in the background of a shell hand on that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begun")
for block in parallel.blocks(rendering.name_process, {count}, block=5, processes=2):
    print(block, flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Starts a script that renders some examples, in a session of its own."""
    (tmp_path / "rendering.py").write_text(RENDERING)
    workers = tmp_path / "workers"
    workers.mkdir()
    started = []

    def call(count):
        path = tmp_path / "script.py"
        path.write_text(SCRIPT.format(count=count))
        started.append(
            subprocess.Popen(
                [sys.executable, str(path)],
                env={**os.environ, "PYTHONPATH": str(ROOT), "FOLDER": str(workers)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.communicate()


def workers(tmp_path):
    return [int(path.name) for path in (tmp_path / "workers").iterdir()]


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_script_is_not_run_again_by_the_workers(start, tmp_path):
    process = start(10)
    out, err = process.communicate(timeout=300)
    assert (out, err) == ("begun\n[0 1 2 3 4]\n[5 6 7 8 9]\n", "")
    # One may render all before the other has begun.
    assert len(workers(tmp_path)) in (1, 2)
    assert process.pid not in workers(tmp_path)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_script(start, tmp_path, kind):
    process = start(5_000)
    wait_until(lambda: len(workers(tmp_path)) == 2)
    if kind == signal.SIGINT:
        # As the keyboard does, to all.
        os.killpg(process.pid, kind)
    else:
        process.send_signal(kind)
    _, err = process.communicate(timeout=300)
    assert process.returncode == -kind
    assert err.count("Traceback") == (kind == signal.SIGINT)
    wait_until(lambda: not any(map(is_alive, workers(tmp_path))))
