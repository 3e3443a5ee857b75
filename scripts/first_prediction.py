"""Measures how long a folder of photographs takes from `semisup-train` to the first predictions.

    python scripts/first_prediction.py --images=photos/unlabelled --dataset=./photos [FLAGS]

It trains by the recipe `photos`, with the given flags of semisup-train, and predicts `--images`;
then once more, when the features are cached. All is written into a temporary folder.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(ROOT))


def main():
    """Parse the command line, measure, and show what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, help="folder of images to predict")
    parser.add_argument("--output", help="JSON file to write")
    arguments, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="semisup-first-") as folder:
        found = {
            name: _times(folder, name, arguments.images, flags)
            for name in ("first run", "features cached")
        }
    for name, times in found.items():
        for command, (wall, processor) in times.items():
            print(f"{name + ', ' + command:30}{wall:7.1f} s, processor {processor:6.1f} s")
    if arguments.output:
        from scripts import findings

        findings.write(arguments.output, {"wall_and_processor_seconds": found})


def _times(folder, name, images, flags):
    """Return wall and processor seconds of training, of predicting and of both."""
    logdir = os.path.join(folder, name.replace(" ", "_"))
    where = f"--logdir={logdir}"
    cache, output = f"--cache_dir={folder}/cache", f"--output={logdir}.csv"
    train = _seconds("semisup.train", "--recipe=photos", *flags, where, cache)
    predict = _seconds("semisup.predict", where, f"--images={images}", output)
    both = [ours + theirs for ours, theirs in zip(train, predict, strict=True)]
    return {"train": train, "predict": predict, "both": both}


def _seconds(module, *flags):
    """Run a command, and return the wall and the processor seconds that it took."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    before, began = _processor_seconds(), time.monotonic()
    status = subprocess.run(
        [sys.executable, "-m", module, *flags], env={**os.environ, "PYTHONPATH": path}
    )
    if status.returncode:
        sys.exit(status.returncode)
    return [time.monotonic() - began, _processor_seconds() - before]


def _processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
