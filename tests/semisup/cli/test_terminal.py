"""Tests of what a terminal shows of names and mistakes, whatever its encoding."""

import logging
import os
import pathlib
import subprocess
import sys

import keras
import pytest

from semisup.cli import terminal
from semisup.importing import interrupts

SCRIPTS = pathlib.Path(__file__).parents[3] / "scripts"

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
        # As libraries do.
        "import logging; logging.basicConfig(); "
        'log = logging.getLogger("semisup.report"); log.info("wrote it"); '
        'log.warning("left out")'
    )
    assert run(body) == (0, b"wrote it\n", b"left out\n")
    imported = 'import logging; logging.getLogger("semisup.report").info("wrote it")'
    done = subprocess.run([sys.executable, "-c", imported], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_what_would_steer_a_terminal_is_printed_as_an_escape(capsys):
    terminal.say("a table\nof two \x1b]0;lines\x07\u202e")
    logging.getLogger("semisup.test").info("%s", "wrote \x1b[31m")
    assert capsys.readouterr().out == (
        "a table\nof two \\x1b]0;lines\\x07\\u202e\nwrote \\x1b[31m\n"
    )


def test_a_command_whose_output_is_closed_ends_as_any_other(tmp_path):
    script = SCRIPT.format(
        path=sys.path, body="print(1); open(sys.argv[1], 'w').write('mine'); print(2)"
    )
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        path = tmp_path / "written"
        command = f'"$0" -c "$1" "$2" {closed}'
        done = subprocess.run(["sh", "-c", command, sys.executable, script, path], timeout=60)
        assert done.returncode == 0
        assert path.read_text() == "mine"


def test_what_a_users_home_or_environment_says_of_keras_does_not_count(monkeypatch):
    keras.config.set_max_steps_per_epoch(2)
    keras.config.set_max_epochs(1)
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(0.1)
    terminal._set_defaults(keras, keras.backend.backend())
    assert keras.config.max_steps_per_epoch() is None
    assert keras.config.max_epochs() is None
    assert (keras.config.floatx(), keras.config.epsilon()) == ("float32", 1e-7)
    assert keras.layers.Dense(1).compute_dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "is_command"),
    [
        (["python", "-m", "semisup.train", "--logdir=x"], True),
        (["python", "-X", "-m", "clustering.eval"], True),
        (["python3", "-m", "scripts.search"], True),
        (["/usr/bin/python", "/usr/local/bin/domain-adaptation-train"], True),
        (["python", "-u", f"{SCRIPTS}/baselines.py", "--seeds=1"], True),
        (["python", "train.py", "-m", "semisup.train"], False),
        (["python", "/elsewhere/scripts/train.py"], False),
        (["python", "-m", "pytest"], False),
        (["python", "-c", "import semisup"], False),
        (["python"], False),
    ],
)
def test_only_our_own_commands_change_what_ctrl_c_prints(arguments, is_command):
    assert interrupts.is_command(arguments) == is_command


def test_ctrl_c_while_a_command_is_importing_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    interrupts.tell_in_one_line()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "\ninterrupted\n"
    sys.excepthook(ValueError, ValueError("a mistake"), None)
    assert "a mistake" in capsys.readouterr().err
