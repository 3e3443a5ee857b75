"""A terminal that shows any name, without the chatter of the libraries."""

import codecs
import contextlib
import importlib.util
import logging
import os
import sys
import tempfile

from semisup.errors import UserError
from semisup.files.names import printable

LOGGERS = ("semisup", "domain_adaptation", "clustering", "multimodal", "segmentation", "scripts")


class _Screen(logging.Handler):
    """A handler that prints warnings to standard error, and all else to standard output."""

    def emit(self, record):
        # Looked up now: whoever captures the output puts another stream in its place.
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        print(visible(self.format(record)), file=stream, flush=True)


_screen = _Screen()


def say(text):
    """Print a text at once, as `visible` has it, unless this process is hushed.

    Args:
        text: of any lines.
    """
    if not _is_hushed():
        print(visible(text), flush=True)


def hush():
    """Print nothing but errors from now on: another process says the same."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def _is_hushed():
    return logging.getLogger(LOGGERS[0]).level >= logging.ERROR


def visible(text):
    """Return a text of any lines without what would steer a terminal: see `names.printable`.

    Args:
        text: the text. Names in it are better made printable one by one, since they may have line
            breaks.
    """
    return "\n".join(map(printable, text.split("\n")))


def open_streams():
    """Give a process its standard input, output and error, which who starts it may have closed.

    Otherwise the next file that is opened takes the place of one, and what is printed goes there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # It takes the least number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open until the end)


def show_messages():
    """Print what the modules of this project log, which are silent otherwise."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        if _screen not in logger.handlers:
            logger.addHandler(_screen)
            # A library may give the root logger a handler, which would print each message again;
            # one that is there already is the calling program's.
            logger.propagate = bool(logging.getLogger().handlers)


def show_everything():
    """Make printing never fail: what standard output and error cannot encode becomes an escape."""
    codecs.register_error("semisup.visible", _visible)
    for stream in (sys.stdout, sys.stderr):
        # Whoever captures the output may have put something else in their place.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="semisup.visible")


def _visible(error):
    # Keras draws its progress bar with that line.
    text = error.object[error.start : error.end].replace("\N{BOX DRAWINGS HEAVY HORIZONTAL}", "=")
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def import_quietly():
    """Import TensorFlow and Keras, and hide what TensorFlow then prints unless it fails.

    What they would import besides, for uses of theirs that no command makes, is imported where a
    command needs it: that is nearly half of the time.

    Its native code writes about missing drivers and processor features to the process' standard
    error, whatever its own settings say. Nothing is hidden where TF_CPP_MIN_LOG_LEVEL is set to 0.

    Raises:
        UserError: if KERAS_BACKEND names a backend that is unknown or not installed.
    """
    # Set, so that no file of settings in the user's home says otherwise.
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend not in ("tensorflow", "jax") or importlib.util.find_spec(backend) is None:
        reason = ": no command runs on PyTorch" if backend == "torch" else ""
        raise UserError(
            f"KERAS_BACKEND={backend} has to be tensorflow or jax, and be installed{reason}"
        )
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "0":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with _hidden_stderr():
            _import_alone(backend)
            tensorflow = importlib.import_module("tensorflow")
            # Looking for devices is what complains.
            tensorflow.config.list_physical_devices()
        tensorflow.get_logger().setLevel("ERROR")
    _set_defaults(_import_alone(backend), backend)


def _import_alone(backend):
    """Import Keras and its backend without what they take if it is there; return Keras."""
    optional = {"jax", "matplotlib", "pandas", "sklearn"} - {backend}
    absent = optional - sys.modules.keys()
    # To Python, such a package is not installed.
    sys.modules.update(dict.fromkeys(absent))
    try:
        return importlib.import_module("keras")
    finally:
        for name in absent:
            del sys.modules[name]


def _set_defaults(keras, backend):
    """Set what environment variables and a file in the user's home may change in a library.

    A run's results depend on its settings, and on nothing that is not written down with them.
    """
    config = keras.config
    config.set_floatx("float32")
    config.set_dtype_policy("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)
    if backend == "jax":
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", False)
        jax.config.update("jax_numpy_dtype_promotion", "standard")
        jax.config.update("jax_default_prng_impl", "threefry2x32")


@contextlib.contextmanager
def _hidden_stderr():
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
