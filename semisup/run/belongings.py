"""What a run owns in its directory, told by name and content: nothing else is ever deleted.

A directory may hold what other programs, or its owner, put beside a run. So each file is looked at
before the first is deleted, and nothing is written or deleted through a link.
"""

import os
import re

from semisup.cli.run_options import is_run
from semisup.data import image_files
from semisup.errors import UserError
from semisup.files import locking, replacing
from semisup.files.names import printable

OUTCOMES = (
    "results.json",
    "evaluation.json",
    "calibration.json",
    "cross_validation.json",
    "held_out.json",
    "evaluations",
    "predictions.csv",
    "assignments.csv",
    "uncertainty.csv",
    "report.html",
    "model.keras",
)
"""What a training that goes on makes anew."""

# The configuration comes last: as long as it exists, the rest is known to be a run.
PARTS = (
    *OUTCOMES,
    "metrics.jsonl",
    "data.json",
    "network.keras",
    "checkpoints",
    "folds",
    "train",
    "eval",
    "layers",
    "figures",
    "config.json",
)
"""All files and folders of a run, in the order in which they are deleted."""

EVENTS = re.compile(r"events\.out\.tfevents\..+")
_PROJECTOR = r"embeddings\.tsv|classes\.tsv|sprite\.png|projector_config\.pbtxt"
_TENSORBOARD = re.compile(rf"{EVENTS.pattern}|{_PROJECTOR}")
_FOLDERS = {
    "folds": re.compile(r"\d+_of_\d+"),
    "checkpoints": re.compile(r"step_\d{8,}\.npz(\.damaged\d*)?"),
    "train": _TENSORBOARD,
    "eval": _TENSORBOARD,
    "layers": EVENTS,
    "figures": re.compile(r".+\.png"),
    "evaluations": re.compile(r".+\.(json|csv)"),
}


def check_is_no_part(flag, path):
    """Check that what a command writes takes no place of a run's own files and folders.

    Args:
        flag: name of the flag that says where to write.
        path: its value.

    Raises:
        UserError: if it does.
    """
    whole = os.path.abspath(os.path.expanduser(path))
    if os.path.basename(whole) in PARTS and is_run(os.path.dirname(whole)):
        raise UserError(f"--{flag}={path} is the place of a run's own: give another name")


def check_places(path):
    """Check that a run can write its files and folders, and that they stay in its directory.

    Args:
        path: the directory.

    Raises:
        UserError: if there is a link or the like where a file or a folder belongs.
    """
    for part in PARTS:
        whole = os.path.join(path, part)
        kind, is_plain = (
            ("folder", _is_plain_folder) if part in _FOLDERS else ("file", _is_plain_file)
        )
        if os.path.lexists(whole) and not is_plain(whole):
            found = "is a link" if os.path.islink(whole) else f"is no {kind}"
            raise UserError(f"{whole} {found}, but a run has a {kind} of that name: move it away")


def check_owned(path, parts=PARTS):
    """Check that parts of a directory hold nothing but what a run owns.

    Args:
        path: the directory.
        parts: names of files and folders of a run.

    Raises:
        UserError: if there is anything else, which is named.
    """
    _, strangers = _sorted_out(path, parts)
    if strangers:
        raise UserError(
            f"{printable(strangers[0])} was not made by the run that is to be deleted: move it "
            "away, or give another --logdir"
        )


def remove(path, parts=PARTS):
    """Delete what a run owns, and folders that are empty then.

    Args:
        path: the directory.
        parts: names of files and folders of a run.
    """
    for part in parts:
        files, strangers = _sorted_out(path, [part])
        for file in files:
            os.remove(file)
        folder = os.path.join(path, part)
        if _is_plain_folder(folder) and not strangers:
            for empty, _, _ in os.walk(folder, topdown=False):
                os.rmdir(empty)


def remove_leftovers(path):
    """Delete the temporary files that kills have left: see `replacing.remove_temporary`.

    Args:
        path: the directory, which exists.
    """
    for folder in (os.path.realpath(path), *(os.path.join(path, part) for part in _FOLDERS)):
        if _is_plain_folder(folder):
            replacing.remove_temporary(folder)


def _sorted_out(path, parts):
    """Return the files that a run owns in some parts of a directory, and what is not its own."""
    files, strangers = [], []
    for part in parts:
        whole = os.path.join(path, part)
        if not os.path.lexists(whole):
            continue
        if part not in _FOLDERS:
            (files if _is_plain_file(whole) else strangers).append(whole)
        elif not _is_plain_folder(whole):
            strangers.append(whole)
        else:
            for name in sorted(os.listdir(whole)):
                file = os.path.join(whole, name)
                if part == "folds" and _FOLDERS[part].fullmatch(name) and _is_plain_folder(file):
                    for found, more in zip((files, strangers), _of_fold(file), strict=True):
                        found += more
                    continue
                (files if _is_owned(part, name, file) else strangers).append(file)
    return files, strangers


def _of_fold(path):
    """Return what `_sorted_out` does of a directory that is wholly a run's, with its lock."""
    known = (*PARTS, locking.OF_RUN)
    files, strangers = _sorted_out(path, known)
    for name in sorted(set(os.listdir(path)) - set(known)):
        (files if replacing.is_temporary(name) else strangers).append(os.path.join(path, name))
    return files, strangers


def _is_owned(part, name, file):
    if not _is_plain_file(file):
        return False
    if replacing.is_temporary(name):
        return True
    if not _FOLDERS[part].fullmatch(name):
        return False
    if part == "figures":
        return _has_step(file)
    return part != "evaluations" or _is_evaluation(file)


def _has_step(file):
    """Return whether a picture has the remark that every figure of a run has."""
    try:
        with image_files.open_image(file, ["PNG"]) as image:
            return "step" in image.info
    except Exception:  # damaged files make Pillow raise almost anything
        return False


def _is_evaluation(file):
    """Return whether a file begins as those of an evaluation on other data do."""
    starts = (b'{\n "step": ', b"image,label,predicted,probability")
    with open(file, "rb") as content:
        return content.read(40).startswith(starts)


def _is_plain_file(path):
    return os.path.isfile(path) and not os.path.islink(path)


def _is_plain_folder(path):
    return os.path.isdir(path) and not os.path.islink(path)
