"""Trainings that are killed, and runs that are damaged: what comes of them, counted.

    python -m scripts.chaos --kills=100 --damages=100 --seed=1

Small trainings of every task are killed at random moments, and started again: they have to end with
the bits of one that nobody killed. Files of runs are emptied, truncated, exchanged and the like: to
go on and to evaluate has to end with the same bits, or with one line and exit status 1 or 2.
"""

import collections
import dataclasses
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from scripts import processes
from semisup.cli import flags, terminal
from semisup.cli.options import check, option
from semisup.errors import TrainingError
from semisup.files.archives import read_archive
from semisup.files.replacing import is_temporary

NETWORK = "network.keras"
NETWORK_OF_COLOURS = "network_of_colours.keras"
CAPTIONED = "captioned"
MAPPED = "mapped"
"""What is made for the trainings: networks for digits and for pictures, pictures with captions, and
pictures with label maps."""

_STEPS = 30
_COMMON = {
    "max_steps": _STEPS,
    "checkpoint_interval": 5,
    "log_interval": 5,
    "eval_interval": 10,
    "inspect_interval": 10,
    "progress": False,
}
_ON_DIGITS = {
    "eval_batch_size": 500,
    "unsup_batch_size": 20,
    "unsup_samples": 500,
    "projector": True,
}
TASKS = {
    "semisup": (
        "semisup",
        {**_ON_DIGITS, "sup_per_batch": 2, "augmentation": "inversion", "weak_label_share": 0.5},
    ),
    "features": (
        "semisup",
        {**_ON_DIGITS, "sup_per_batch": 2, "trainable": "head", "head_units": 0},
    ),
    "adaptation": (
        "domain_adaptation",
        {
            **_ON_DIGITS,
            "sup_per_batch": 2,
            "walker_weight_envelope_delay": 10,
            "visit_weight_envelope_delay": 10,
        },
    ),
    "clustering": (
        "clustering",
        {**_ON_DIGITS, "reg_warmup_steps": 15, "num_augmented_samples": 2},
    ),
    "captions": (
        "multimodal",
        {
            "architecture": NETWORK_OF_COLOURS,
            "dataset": CAPTIONED,
            "new_size": 16,
            "loss": "infonce+association",
            "batch_size": 4,
            "emb_size": 8,
            "word_size": 8,
        },
    ),
    "segmentation": (
        "segmentation",
        {
            "architecture": NETWORK_OF_COLOURS,
            "dataset": MAPPED,
            "classes": "ground,square",
            "labelled_images": 2,
            "labelled_pixels": 20,
            "unlabelled_pixels": 20,
            "emb_size": 8,
            "head_units": 8,
        },
    ),
}
"""For each kind of training, its package and its own settings."""

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ANSWERS = {0, 1, 2}
_PATIENCE_SECONDS = 600
_SMALL_DISK_BYTES = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChaosConfig:
    """Settings of the trials (see the help of each field's flag)."""

    kills: int = option(20, "Trials", "Trainings and evaluations to kill.", least=0)
    damages: int = option(20, "Trials", "Complete runs to damage.", least=0)
    seed: int = option(0, "Trials", "Seed of what is done, when and to which file.", least=0)
    tasks: str = option(
        ",".join(TASKS), "Trials", f"What is trained, separated by commas: {', '.join(TASKS)}."
    )
    folder: str = option("", "Trials", "Folder to work in; default: a temporary one.")

    def __post_init__(self):
        check(self)


def main(argv=None):
    """Run the command."""
    flags.run(run, ChaosConfig, program="chaos", summary=__doc__, argv=argv)


def run(config):
    """Do all trials, and print their counts.

    Args:
        config: a `ChaosConfig`.

    Raises:
        TrainingError: if one of them ended as none may.
    """
    folder = config.folder or tempfile.mkdtemp(prefix="chaos-")
    chaos = Chaos(folder, config.tasks.split(","), random.Random(config.seed))
    for task in chaos.tasks:
        chaos.whole(task)
    for number in range(config.kills):
        chaos.kill(number)
    for number in range(config.damages):
        chaos.damage(number)
    terminal.say("\n".join(f"{count:6} {what}" for what, count in sorted(chaos.counts.items())))
    if chaos.faults:
        raise TrainingError(f"{len(chaos.faults)} faults: {'; '.join(chaos.faults)}")
    if not config.folder:
        shutil.rmtree(folder)


class Chaos:
    """The trials, each of which has a folder of its own.

    Args:
        folder: where they are.
        tasks: names of `TASKS`.
        draw: a `random.Random`.

    Attributes:
        counts: how often each thing came of a trial.
        faults: what came of those that ended as none may.
    """

    def __init__(self, folder, tasks, draw):
        self.folder = Path(folder)
        self.tasks = tasks
        self.draw = draw
        self.counts = collections.Counter()
        self.faults = []
        self._whole = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made = self.folder / "made"
        if not self.made.exists():
            _finish(processes.Process(_make, self.made))

    def whole(self, task):
        """Return the directory of a run that nobody has disturbed."""
        if task not in self._whole:
            path = self.folder / f"whole_{task}"
            shutil.rmtree(path, ignore_errors=True)
            status, text = _finish(self._training(task, path))
            if status == 0:
                status, text = _finish(self._evaluation(task, path))
            if status:
                raise TrainingError(f"the undisturbed {task} ended with {status}: {text[-2000:]}")
            self._whole[task] = path
        return self._whole[task]

    def kill(self, number):
        """Kill a training or an evaluation, and start it again."""
        task, sign = self.draw.choice(self.tasks), self.draw.choice(SIGNALS)
        moment = self.draw.choice(list(MOMENTS))
        patience = self.draw.random()
        path = self.folder / f"killed_{number}_{task}"
        whole = self.whole(task)
        if moment in _OF_EVALUATIONS:
            shutil.copytree(whole, path)
            (path / "evaluation.json").unlink()
            start = self._evaluation
        else:
            start = self._training
        process = start(task, path)
        has_come = MOMENTS[moment]
        while process.poll() is None and not has_come(path):
            time.sleep(0.0005)
        time.sleep(patience * _DELAYS.get(moment, 0.0))
        in_time = process.poll() is None
        if in_time:
            process.send_signal(sign)
        status, text = _finish(process)
        what = f"{task}, {sign.name} at {moment}"
        asked = {0, -sign, 128 + sign}
        if status not in asked or (sign != signal.SIGKILL and "Traceback" in text):
            self._fault(f"{what}: status {status}", text, path)
            return
        status, text = _finish(start(task, path))
        outcome = _compared(path, whole) if status == 0 else f"status {status}"
        self._conclude("killed" if in_time else "ended before", what, outcome, text, path)

    def damage(self, number):
        """Damage a file of a complete run, then go on with it, or evaluate it."""
        task = self.draw.choice(self.tasks)
        whole = self.whole(task)
        path = self.folder / f"damaged_{number}_{task}"
        shutil.copytree(whole, path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        victim, other = self.draw.choice(files), self.draw.choice(files)
        how = self.draw.choice(list(DAMAGES))
        is_training = self.draw.random() < 0.7
        if is_training:
            # As a kill shortly before the end leaves a run.
            (path / "results.json").unlink(missing_ok=True)
            (path / "checkpoints" / f"step_{_STEPS:08d}.npz").unlink()
        if victim.exists():
            DAMAGES[how](victim, other if other.exists() else self.made / NETWORK)
        before = _contents(path, victim)
        linked = _contents(path, victim, "*.elsewhere")
        start = self._training if is_training else self._evaluation
        status, text = _finish(start(task, path, limit=how == "a full disk"))
        what = f"{task}, {how}: {victim.relative_to(path)}"
        if (
            status in _ANSWERS - {0}
            and "Traceback" not in text
            and _contents(path, victim).items() >= before.items()
            and _contents(path, victim, "*.elsewhere") == linked
        ):
            terminal.say(f"{what}: {text.strip().splitlines()[-1]}")
            self.counts["damaged: one line"] += 1
            _remove(path)
            return
        outcome = f"status {status}"
        if status == 0:
            outcome = _compared(path, whole) if is_training else "the same bits"
            if _contents(path, victim, "*.elsewhere") != linked:
                outcome = "written through a link"
        self._conclude("damaged", what, outcome, text, path)

    def _conclude(self, kind, what, outcome, text, path):
        if outcome == "the same bits":
            terminal.say(f"{what}: {outcome}")
            self.counts[f"{kind}: {outcome}"] += 1
            _remove(path)
        else:
            self._fault(f"{what}: {outcome}", text, path)

    def _fault(self, what, text, path):
        self.counts["faults"] += 1
        self.faults.append(what)
        terminal.say(f"{what}\n{text[-2000:]}\nsee {path}")

    def _training(self, task, path, limit=False):
        package, own = TASKS[task]
        settings = {**_COMMON, **own, "logdir": path}
        settings["architecture"] = self.made / own.get("architecture", NETWORK)
        settings["cache_dir"] = path.with_name(f"{path.name}_cache")
        if "dataset" in own:
            settings["dataset"] = self.made / own["dataset"]
        return processes.Process(_command, f"{package}.train", _flags(settings), limit)

    def _evaluation(self, task, path, limit=False):
        package, _ = TASKS[task]
        settings = {"logdir": path, "report": True}
        return processes.Process(_command, f"{package}.eval", _flags(settings), limit)


def _flags(settings):
    return [f"--{name}={value}" for name, value in settings.items()]


def _command(module, arguments, limit):
    """Run a command in this process; with a limit, no file may grow beyond it."""
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL_DISK_BYTES, _SMALL_DISK_BYTES))
    processes.run(module, *arguments)


def _make(folder):
    """Write the networks and pictures of the trainings."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    folder.mkdir()
    keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dense(16, activation="elu"),
            layers.Dropout(0.3),
            layers.Dense(8),
        ]
    ).save(folder / NETWORK)
    keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, 2, padding="same", activation="elu"),
            layers.Conv2D(8, 3, 2, padding="same", activation="elu"),
            layers.GlobalAveragePooling2D(),
        ]
    ).save(folder / NETWORK_OF_COLOURS)
    generator = np.random.default_rng(0)
    captions = ["image,caption"]
    for number in range(20):
        name = f"{number:02}.png"
        pixels, places = _picture(generator)
        _save(pixels, folder / CAPTIONED / name)
        captions.append(f"{name},a square {int(places[8].argmax())} from the left")
        split = "test" if number % 2 else "train"
        _save(pixels, folder / MAPPED / split / name)
        _save(places, folder / MAPPED / f"{split}_labels" / name)
    (folder / CAPTIONED / "captions.csv").write_text("\n".join(captions))


def _picture(generator):
    """Draw a square on a dark ground: pixels (16, 16, 3), and which of them are the square's."""
    places = np.zeros((16, 16), "uint8")
    left = generator.integers(10)
    places[4:12, left : left + 6] = 1
    noise = generator.integers(0, 60, (16, 16, 3))
    return (noise + 150 * places[..., None]).astype("uint8"), places


def _save(pixels, path):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _finish(process):
    status, out, err = process.finish(_PATIENCE_SECONDS)
    return status, out + err


def _has(pattern):
    return lambda path: next(path.glob(pattern), None) is not None


def _is_being_written(folder, name):
    def is_so(path):
        try:
            names = os.listdir(path / folder)
        except OSError:
            return False
        return any(is_temporary(each) and name in each for each in names)

    return is_so


MOMENTS = {
    "any time": lambda path: True,
    "the first step": _has("data.json"),
    "the first log": _has("metrics.jsonl"),
    "a checkpoint's write": _is_being_written("checkpoints", "step"),
    "the second checkpoint": _has("checkpoints/step_00000010.npz"),
    "the feature cache": lambda path: path.with_name(f"{path.name}_cache").exists(),
    "k-means, or the middle": _has("checkpoints/step_00000015.npz"),
    "the last step": _has(f"checkpoints/step_{_STEPS:08d}.npz"),
    "the export": _is_being_written("", "model"),
    "the projector": _has("train/embeddings.tsv"),
    "an evaluation": _has("eval"),
    "a report": _is_being_written("", "report"),
}
"""What has to be so in the directory of a run for the signal to be sent."""

_DELAYS = {"any time": 8.0, "the first step": 0.5, "k-means, or the middle": 0.5}
_OF_EVALUATIONS = ("an evaluation", "a report")


def _truncate(victim, other):
    os.truncate(victim, victim.stat().st_size // 2)


def _replace(victim, other):
    victim.write_bytes(other.read_bytes())


def _make_folder(victim, other):
    victim.unlink()
    victim.mkdir()


def _make_pipe(victim, other):
    victim.unlink()
    os.mkfifo(victim)


def _make_link(victim, other):
    elsewhere = victim.with_name(f"{victim.name}.elsewhere")
    victim.rename(elsewhere)
    victim.symlink_to(elsewhere)


def _flip_bit(victim, other):
    content = bytearray(victim.read_bytes())
    if content:
        content[len(content) // 3] ^= 4
        victim.write_bytes(content)


DAMAGES = {
    "emptied": lambda victim, other: os.truncate(victim, 0),
    "truncated": _truncate,
    "missing": lambda victim, other: victim.unlink(),
    "replaced by another file": _replace,
    "a folder": _make_folder,
    "a pipe": _make_pipe,
    "a link": _make_link,
    "a flipped bit": _flip_bit,
    "its folder gone": lambda victim, other: shutil.rmtree(victim.parent),
    "a full disk": lambda victim, other: None,
}
"""What is done to a file of a run; the other file is one of the same run."""


def _contents(path, victim, pattern="checkpoints/*.npz"):
    """Return the bytes of what nobody may lose, but for the damaged file."""
    files = path.rglob(pattern)
    return {file: file.read_bytes() for file in files if file.is_file() and file != victim}


def _remove(path):
    shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(path.with_name(f"{path.name}_cache"), ignore_errors=True)


def _compared(path, whole):
    """Say whether two runs have ended with the same bits, and the first left nothing behind."""
    name = Path("checkpoints") / f"step_{_STEPS:08d}.npz"
    ours, theirs = read_archive(path / name), read_archive(whole / name)
    if ours.keys() != theirs.keys():
        return "other variables"
    for key, array in ours.items():
        if array.dtype != theirs[key].dtype or not np.array_equal(array, theirs[key]):
            return f"other bits of {key}"
    left = [str(file) for file in path.rglob("*") if is_temporary(file.name)]
    return f"left behind: {', '.join(left)}" if left else "the same bits"


if __name__ == "__main__":
    main(sys.argv)
