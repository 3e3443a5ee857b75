"""A fuzzer for readers: valid files, changed at random, are read or refused, and never more.

    python -m scripts.fuzz --seconds=300 --seed=1

Whatever the change, a reader returns in time, or raises the error that it promises, in one line.
"""

import collections
import dataclasses
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.search import spaces
from semisup.cli import flags, terminal
from semisup.cli.options import check, option
from semisup.config import TrainConfig
from semisup.data import image_files, pixels
from semisup.errors import TrainingError, UserError
from semisup.files import reading
from semisup.files.archives import read_archive
from semisup.run import calibration, file_types, live_settings
from semisup.use import labelling

_PATIENCE_SECONDS = 20
_MOST_CHARACTERS = 2000
_SETTINGS = TrainConfig()
_STEERED = {"walker_weight": ("walker_loss",), "visit_weight": ("visit_loss",)}
_TOKENS = [
    b"[", b"{", b'"', b"\\", b"null", b"true", b"-", b"1e308", b"NaN", b"-Infinity", b"1e-400",
    b"9" * 400, b"18446744073709551616", b"\\ud800", b"\xff\xfe", b"\x00", b"\x1b[31m", b"\n",
    b"[" * 3000, b'{"a":' * 3000, b"=", b",", b"0x", b"1979-05-27",
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class FuzzConfig:
    """Settings of the fuzzer (see the help of each field's flag)."""

    seconds: float = option(60.0, "Fuzzing", "Seconds to go on for.", above=0)
    seed: int = option(0, "Fuzzing", "Seed of the changes.", least=0)
    readers: str = option(
        "", "Fuzzing", "Names of the readers, separated by commas; default: all of them."
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader, and files that it reads.

    Attributes:
        suffix: of the files' names.
        contents: function that returns a list of valid contents.
        read: function that reads a file by its path.
        refuses: the errors that it may raise.
    """

    suffix: str
    contents: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    refuses: tuple[type[Exception], ...] = (UserError,)


def main(argv=None):
    """Run the command."""
    flags.run(run, FuzzConfig, program="fuzz", summary=__doc__, argv=argv)


def run(config):
    """Fuzz, and print how often each reader read and refused.

    Args:
        config: a `FuzzConfig`.

    Raises:
        TrainingError: if a reader raised anything else, said too much or took too long.
    """
    names = config.readers.split(",") if config.readers else list(READERS)
    if unknown := sorted(set(names) - READERS.keys()):
        raise UserError(f"--readers={unknown[0]}: there are {', '.join(READERS)}")
    counts = fuzz(names, config.seconds, random.Random(config.seed))
    terminal.say("\n".join(f"{count:8} {what}" for what, count in sorted(counts.items())))


def fuzz(names, seconds, draw):
    """Read changed files for some time, and return the counts of what came of it.

    Args:
        names: names of `READERS`.
        seconds: how long.
        draw: a `random.Random`.

    Raises:
        TrainingError: see `run`.
    """
    counts = collections.Counter()
    contents = {name: READERS[name].contents() for name in names}
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < deadline:
            for name in names:
                content = changed(draw.choice(contents[name]), draw)
                path = Path(folder) / f"file{READERS[name].suffix}"
                path.write_bytes(content)
                counts[f"{name}: {_outcome(READERS[name], path, content)}"] += 1
    return counts


def _outcome(reader, path, content):
    start = time.monotonic()
    try:
        reader.read(path)
        outcome = "read"
    except reader.refuses as error:
        outcome = "refused"
        wrong = isinstance(error, UserError) and (
            "\n" in str(error) or len(str(error)) > _MOST_CHARACTERS
        )
        if wrong or isinstance(error, RecursionError):
            raise _found(path, content, error) from error
    except Exception as error:
        raise _found(path, content, error) from error
    if time.monotonic() - start > _PATIENCE_SECONDS:
        raise _found(path, content, "it took too long")
    return outcome


def _found(path, content, what):
    shown = content if len(content) < 2000 else content[:2000] + b"..."
    return TrainingError(f"{path.name}: {type(what).__name__}: {what}; content: {shown!r}")


def changed(content, draw):
    """Return a content with some changes: bits, lost, repeated or foreign parts.

    Args:
        content: bytes.
        draw: a `random.Random`.
    """
    content = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice([0, 1, 1, 2, 8, 64]))
        kind = draw.randrange(4)
        if kind == 0 and start < len(content):
            content[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del content[start:end]
        elif kind == 2:
            content[start:start] = content[start:end]
        else:
            content[start:end] = draw.choice(_TOKENS)
    return bytes(content)


def _as_json(*contents):
    return lambda: [json.dumps(content).encode() for content in contents]


def _archive():
    file = io.BytesIO()
    np.savez(file, a=np.arange(6, dtype="float32"), b=np.int32(3))
    return [file.getvalue()]


def _images():
    contents = []
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "TGA", "ICO", "WEBP"):
        file = io.BytesIO()
        Image.effect_noise((16, 16), 50).convert("RGB").save(file, kind)
        contents.append(file.getvalue())
    return contents


def _read_image(path):
    with image_files.open_image(path) as image:
        pixels.to_array(image, 3, 8)


def _model():
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
        return [path.read_bytes()]


def _read_model(path):
    from semisup.architectures import saved_models

    saved_models.load(path, compile=False)


_CONFIG = {"task": "semisup", "settings": _SETTINGS.to_dict(), "backend": "tensorflow"}
_RECORD = {
    "class_names": ["cat", "dog"],
    "image_shape": [8, 8, 3],
    "evaluation_fingerprint": "0123",
    "labelled_indices": [0, 3],
}
_EVALUATION = {
    "step": 3,
    "error": 0.25,
    "per_class_accuracy": {"cat": 1.0, "dog": None},
    "confusion_matrix": [[1, 0], [2, 3]],
}
_CALIBRATION = {"temperature": 1.5, "step": 3, "fitted_on": "images"}


def _read_config(path):
    return TrainConfig.from_dict(reading.read_json(path, file_types.Config)["settings"])


READERS = {
    "config": Reader(".json", _as_json(_CONFIG), _read_config),
    "record": Reader(
        ".json", _as_json(_RECORD), lambda path: reading.read_json(path, file_types.ImageRecord)
    ),
    "results": Reader(
        ".json",
        _as_json({"step": 3, "test_error": 0.5, "settings": _SETTINGS.to_dict()}),
        lambda path: reading.read_json(path, file_types.Results),
    ),
    "evaluation": Reader(
        ".json", _as_json(_EVALUATION), lambda path: reading.read_json(path, file_types.Evaluation)
    ),
    "calibration": Reader(
        ".json",
        _as_json(_CALIBRATION),
        lambda path: reading.read_json(path, calibration.CalibrationFile),
    ),
    "log": Reader(
        ".jsonl",
        lambda: [b'{"step": 5, "seconds": 1.5, "a": 0.5}\n{"step": 10, "seconds": 2}\n'],
        lambda path: reading.read_lines(path, file_types.Entry),
    ),
    "live settings": Reader(
        ".toml",
        lambda: [b"learning_rate = 5e-4\nvisit_weight = 0.2\neval_interval = 100\nstop = false\n"],
        lambda path: live_settings.read(
            str(path), _SETTINGS, _STEERED, ("walker_loss", "visit_loss")
        ),
    ),
    "space": Reader(
        ".toml",
        lambda: [
            b'learning_rate = {log = [1e-4, 1e-2]}\naugmentation = {choice = ["none", "affine"]}'
        ],
        lambda path: spaces.read(str(path), "semisup"),
    ),
    "flags": Reader(
        ".flags",
        lambda: [b"--learning_rate=0.1\n# a remark\n--noprogress\n--seed\n3\n"],
        lambda path: flags.parse(["train", f"--flagfile={path}"], TrainConfig),
    ),
    "labels": Reader(
        ".csv",
        lambda: [b"path,label,predicted\na.png,cat,dog\n'=b.png,,dog\n", b"path;label\na;cat\n"],
        lambda path: labelling._read(str(path), {"cat": None, "dog": None}),
    ),
    # Whatever is damaged makes NumPy and Pillow raise almost anything; who reads catches it.
    "archive": Reader(".npz", _archive, read_archive, (Exception,)),
    "image": Reader(".png", _images, _read_image, (Exception,)),
    "model": Reader(".keras", _model, _read_model),
}


if __name__ == "__main__":
    main(sys.argv)
