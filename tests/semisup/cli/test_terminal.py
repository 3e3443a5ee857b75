"""Tests of what a terminal shows of names and mistakes, whatever its encoding."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
sys.path[:0] = {path!r}
from semisup.cli import flags
from semisup.errors import TrainingError, UserError

def main():
    {body}

flags.guard(main, "program")
"""


def run(body, **environment):
    """Exit status and the bytes of standard output and error of a program."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(path=sys.path, body=body)],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_what_a_terminal_cannot_encode_is_printed_as_an_escape(environment):
    status, output, _ = run(r'print("\u7fd8\u5934 \udcf6 ok")', **environment)
    assert (status, output) == (0, rb"\u7fd8\u5934 \udcf6 ok" + b"\n")


def test_what_a_terminal_can_encode_is_printed_as_it_is():
    status, output, _ = run(r'print("\u7fd8\u5934 \udcf6")', PYTHONIOENCODING="utf-8")
    assert (status, output) == (0, "翘头".encode() + rb" \udcf6" + b"\n")


def test_a_progress_bar_is_drawn_in_ascii():
    assert run(r'print("\u2501" * 4)', PYTHONIOENCODING="ascii")[1] == b"====\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [("UserError(text)", 2), ("TrainingError(text)", 1), ("OSError(5, 'reason', text)", 1)],
)
def test_a_mistake_is_one_line_whatever_name_it_tells(error, status):
    body = rf'text = "folder \x1b[31m\n\u7fd8\udcf6"; raise {error}'
    found, _, message = run(body, PYTHONIOENCODING="ascii")
    assert found == status
    assert message.startswith(rb"program: folder \x1b[31m\n\u7fd8\xf6")
    assert message.count(b"\n") == 1


def test_what_the_library_logs_is_printed_by_a_command_alone():
    body = (
        'import logging; log = logging.getLogger("semisup.report"); log.info("wrote it"); '
        'log.warning("left out")'
    )
    assert run(body) == (0, b"wrote it\n", b"left out\n")
    imported = 'import logging; logging.getLogger("semisup.report").info("wrote it")'
    done = subprocess.run([sys.executable, "-c", imported], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")
