"""The settings that the runs of all tasks have in common, from which the flags are made.

Nothing here imports Keras.
"""

import dataclasses
import math
import os
from typing import ClassVar

from semisup.cli import (
    architecture_names,
    choices,
    dataset_names,
    head_options,
    host_options,
    run_options,
)
from semisup.cli.dataset_names import file_name, is_folder, whole_path
from semisup.cli.options import check, option
from semisup.cli.saved_settings import SavedSettings
from semisup.errors import UserError

DATA_DIR_VARIABLE = "SEMISUP_DATA_DIR"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(SavedSettings):
    """Settings that every training has, whatever its task (see the help of each field's flag).

    Raises:
        UserError: on construction, if a value is out of its range or two values contradict.
    """

    # Data
    dataset: str = option(
        "mnist_5k",
        "Data",
        "Data set: mnist_5k (embedded, needs no download), a TFDS name, or folder:PATH (the path "
        "alone will do for a folder that exists).",
    )
    data_dir: str = option(
        "",
        "Data",
        "Folder of TFDS data sets; default: the environment variable SEMISUP_DATA_DIR, else TFDS' "
        "own folder.",
        resume=True,
    )
    cache_dir: str = option(
        "",
        "Data",
        "Folder for the features of pretrained networks, and for decoded copies of data sets "
        "larger than a gigabyte; default: semisup in the user's cache folder.",
        resume=True,
    )
    new_size: int = option(
        0,
        "Data",
        "Resize all images to this height and width in pixels; 0: keep.",
        least=0,
        most=8192,
    )
    fit: str = option(
        choices.AUTO,
        "Data",
        "How images that are not square become --new_size pixels high and wide. squash: the whole "
        "image, distorted. crop: the shorter side is resized, and the centre kept. pad: the longer "
        "side is resized, and black margins added. auto: crop for folders, else squash.",
        one_of=(choices.AUTO, *choices.FITS),
        before="squash",
    )
    skip_broken: bool = option(
        False,
        "Data",
        "Leave out files of a folder that cannot be read, for which all are decoded once more at "
        "the start, instead of stopping with a list of them.",
        resume=True,
    )

    # Network
    architecture: str = option(
        "mnist_model",
        "Network",
        "Network by name, any keras.applications network, a .keras file, or keras_hub:PRESET, a "
        "backbone of Keras Hub; help: list them.",
    )
    emb_size: int = option(128, "Network", "Width of the embeddings.", least=1, most=65_536)
    normalization: str = option(
        "auto",
        "Network",
        "Scaling of the pixels; auto: the architecture's own.",
        one_of=choices.NORMALIZATIONS,
    )
    pretrained: bool = option(
        False, "Network", "Start a keras.applications network from its ImageNet weights."
    )
    initial_run: str = option(
        "",
        "Network",
        "Folder of a completed run; training starts from its network, and from its classifier "
        "where the number of classes is the same.",
    )
    trainable: str = head_options.trainable()
    head_units: int = head_options.head_units()
    centre_features: bool = head_options.centre_features()
    feature_views: int = head_options.feature_views()
    l2_weight: float = option(
        -1.0,
        "Network",
        "Weight of the L2 regularisation, half the sum of squares; -1: the architecture's own.",
        least=-1.0,
    )
    num_blocks: int = option(
        0,
        "Network",
        "Residual blocks in each stage of a residual network; 0: the architecture's own.",
        least=0,
        most=1000,
    )
    dropout: float = option(
        -1.0,
        "Network",
        "Rate of a network's dropout, where it has one; -1: the architecture's own.",
        least=-1.0,
        most=0.999,
    )
    joint_batch_statistics: bool = option(
        False,
        "Network",
        "Let batch normalisation see both batches of a step together, instead of one at a time.",
    )

    # Optimisation
    learning_rate: float = option(1e-3, "Optimisation", "Learning rate of Adam.", above=0, most=100)
    network_learning_rate: float = head_options.network_learning_rate()
    minimum_learning_rate: float = option(
        1e-6, "Optimisation", "Floor of the decayed learning rate.", least=0
    )
    warmup_steps: int = option(
        0,
        "Optimisation",
        "Steps in which the learning rate grows linearly to its full value.",
        least=0,
    )
    decay_factor: float = option(
        0.33, "Optimisation", "Factor of each decay of the learning rate.", above=0, most=1
    )
    decay_steps: int = option(
        5000, "Optimisation", "Steps between two decays of the learning rate.", least=1
    )
    beta1: float = option(
        0.9, "Optimisation", "Adam's decay of the gradient's average.", least=0, most=0.999999
    )
    beta2: float = option(
        0.999,
        "Optimisation",
        "Adam's decay of the squared gradient's average.",
        least=0,
        most=0.999999,
    )
    clip_norm: float = option(
        1.0,
        "Optimisation",
        "Greatest norm of the gradient of all weights together; a longer one is scaled down to it, "
        "so that a rare batch (one in which a class is missing) cannot undo the training. "
        "0: no limit.",
        least=0,
    )
    average_decay: float = option(
        0.0,
        "Optimisation",
        "Decay of a moving average of the weights, which is then evaluated and exported in place "
        "of the weights, for example 0.999; 0: no average.",
        least=0,
        most=0.999999,
    )
    max_steps: int = option(2000, "Optimisation", "Training steps.", least=1, resume=True)
    seed: int = option(0, "Optimisation", "Seed of everything random.", least=0, most=2**31 - 1)

    # Run
    logdir: str = option(
        "", "Run", "Folder of the run; default: runs/ and the data set's name.", resume=True
    )
    overwrite: bool = option(
        False,
        "Run",
        "Delete an earlier run in --logdir first; leave this out to go on with the new one.",
        resume=True,
    )
    eval_interval: int = option(500, "Run", "Steps between two evaluations.", least=1, resume=True)
    eval_batch_size: int = option(
        500, "Run", "Images in a batch of an evaluation.", least=1, resume=True
    )
    checkpoint_interval: int = option(
        500, "Run", "Steps between two checkpoints.", least=1, resume=True
    )
    max_checkpoints: int = option(
        5,
        "Run",
        "Newest checkpoints to keep, beside the very first (of step --log_interval), which the "
        "figures compare with the last.",
        least=1,
        resume=True,
    )
    log_interval: int = option(
        50, "Run", "Steps between two entries of the log and of TensorBoard.", least=1, resume=True
    )
    inspect_interval: int = option(
        500,
        "Run",
        "Steps between two inspections of the layers: norms of gradients and weights, dead units, "
        "the first kernels as images, and a warning if gradients vanish. Whether they explode is "
        "checked whenever the log is written. 0: no inspections.",
        least=0,
        resume=True,
    )
    histograms: bool = option(
        False,
        "Run",
        "Write histograms of weights and averaged gradients at each inspection.",
        resume=True,
    )
    projector: bool = option(
        False,
        "Run",
        "Write test embeddings for TensorBoard's projector when training ends.",
        resume=True,
    )
    live_config: str = option(
        "",
        "Run",
        "File that may change settings while the training runs, read whenever the log is "
        "written: TOML with learning_rate, loss weights by their flags' names, eval_interval, or "
        "stop = true. It need not exist yet.",
        resume=True,
    )
    progress: bool = option(True, "Run", "Show a progress bar.", resume=True)

    # Speed
    precision: str = option(
        "float32",
        "Speed",
        "Precision of the network's arithmetic; losses and weights are always float32.",
        one_of=choices.PRECISIONS,
    )
    jit_compile: str = option(
        "auto",
        "Speed",
        "Compile the training step with XLA. TensorFlow: auto is off (on a CPU, XLA's convolutions "
        "are slower). JAX: auto is on, and off runs every operation by itself, for debugging.",
        one_of=choices.JIT_COMPILE,
    )
    steps_per_execution: int = option(
        1,
        "Speed",
        "Steps between two returns to Python; has to divide every interval and --max_steps. On a "
        "GPU, where a step of a small network takes little time, try 50.",
        least=1,
    )
    deterministic: bool = option(
        True,
        "Speed",
        "On GPUs, only use kernels that give the same bits every time, even if slower.",
    )
    devices: int = option(
        1,
        "Speed",
        "Accelerators of this machine that share each batch, under JAX; has to divide the images "
        "of each kind in a batch. The losses are still those of whole batches.",
        least=1,
        resume=True,
    )
    hosts: int = host_options.hosts()
    host_index: int = host_options.host_index()
    coordinator: str = host_options.coordinator()

    INTERVALS: ClassVar[tuple[str, ...]] = (
        "max_steps",
        "eval_interval",
        "checkpoint_interval",
        "log_interval",
        "inspect_interval",
    )
    """Numbers of steps that `steps_per_execution` has to divide."""

    DATASETS: ClassVar[tuple[str, ...]] = ("dataset",)

    LOGDIR_SUFFIX: ClassVar[str] = ""
    """What the name of the default folder adds to that of the data set."""

    def __post_init__(self):
        check(self)
        # So that a run can be evaluated from any folder.
        if self.data_dir and "://" not in self.data_dir:
            object.__setattr__(self, "data_dir", whole_path(self.data_dir))
        for name in self.DATASETS:
            value = getattr(self, name)
            # Tasks without a default say themselves what they need.
            if not value and getattr(type(self), name):
                raise UserError(f"--{name}= names no data set; give a name, or folder:PATH")
            value = dataset_names.resolved(value, name, self.resolved_data_dir)
            object.__setattr__(self, name, value)
        self._resolve_fit()
        architecture = architecture_names.resolved(self.architecture)
        object.__setattr__(self, "architecture", architecture)
        object.__setattr__(self, "live_config", os.path.expanduser(self.live_config))
        if self.initial_run:
            object.__setattr__(self, "initial_run", whole_path(self.initial_run))
        self._check_steps_per_execution()
        head_options.check(self)
        host_options.check(self)
        if self.minimum_learning_rate > self.learning_rate:
            raise UserError(
                f"--minimum_learning_rate={self.minimum_learning_rate} is above "
                f"--learning_rate={self.learning_rate}"
            )
        if architecture_names.brings_weights(architecture) and self.precision != "float32":
            raise UserError(
                f"--precision={self.precision} does not reach the layers of {self.architecture}, "
                "which keep the precision that they were saved with"
            )
        for name in ("l2_weight", "dropout"):
            if -1 < getattr(self, name) < 0:
                raise UserError(f"--{name}={getattr(self, name)}: give at least 0, or -1")

    @property
    def has_head(self):
        """Whether the network has a head."""
        return self.trainable != "all" or self.head_units >= 0

    def check_paths(self):
        """Check that the folders and files that are named exist, without opening any.

        A run that goes on may not need them any more.

        Raises:
            UserError: if one does not.
        """
        if run_options.is_run(self.resolved_logdir):
            return
        for name in self.DATASETS:
            # A folder may have been moved to --data_dir.
            if not self.data_dir:
                dataset_names.check_dataset(name, getattr(self, name))
        if architecture_names.is_file(self.architecture):
            architecture_names.check_file(self.architecture)

    def _resolve_fit(self):
        if self.fit == choices.AUTO:
            folders = any(is_folder(getattr(self, name)) for name in self.DATASETS)
            object.__setattr__(self, "fit", "crop" if folders and self.new_size else "squash")
        if self.fit != "squash" and not self.new_size:
            raise UserError(f"--fit={self.fit} has no effect without --new_size")

    def _check_steps_per_execution(self):
        steps = self.steps_per_execution
        intervals = {name: getattr(self, name) for name in self.INTERVALS}
        for name, interval in intervals.items():
            if interval % steps:
                divisors = _divisors(math.gcd(*intervals.values()))
                nearest = min(divisors, key=lambda divisor: abs(divisor - steps))
                raise UserError(
                    f"--steps_per_execution={steps} does not divide --{name}={interval}; "
                    f"the nearest that divides every interval is {nearest}"
                )

    @property
    def resolved_data_dir(self):
        """Folder of TFDS data sets, or None for TFDS' own."""
        return self.data_dir or os.environ.get(DATA_DIR_VARIABLE) or None

    @property
    def reading(self):
        """How data sets are read, as arguments of `semisup.data.datasets.open_dataset`."""
        return {
            "data_dir": self.resolved_data_dir,
            "image_size": self.new_size,
            "fit": self.fit,
            "skip_broken": self.skip_broken,
        }

    @property
    def resolved_logdir(self):
        """Folder of the run."""
        names = (file_name(getattr(self, name)) for name in self.DATASETS)
        return self.logdir or os.path.join("runs", "_to_".join(names) + self.LOGDIR_SUFFIX)


def _divisors(number):
    small = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return sorted({*small, *(number // divisor for divisor in small)})
