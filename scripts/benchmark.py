"""Measurement of the training's speed, compared with what the machine can do.

    python scripts/benchmark.py --precision=bfloat16 --output=benchmark.json
    python scripts/benchmark.py --recipe=svhn_1000 --data_dir=DIR
    python scripts/benchmark.py --association
    python scripts/benchmark.py --peers

The training of `semisup-train`, with its pipeline, metrics, log and checkpoints, takes turns with a
bare step, with `Model.fit` on a constant batch, with the pipeline alone and with matrix products.
On a machine that others use too, single timings mean little, but ratios within a round are steady.
"""

import dataclasses
import functools
import os
import sys
import tempfile

import numpy as np

# Measure the source tree of this script, whether it is installed or not.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import semisup
from scripts import associations, peers
from scripts.contestants import (
    bare_steps,
    epoch_timer,
    fastest_products,
    fit_rate,
    generators,
    memory_in_use,
    product_rate,
    rate,
    similarity_gradients,
    similarity_terms,
    step_flops,
    unwatched_adam,
)
from semisup.cli import flags
from semisup.cli.options import option
from semisup.config import TrainConfig
from semisup.errors import UserError
from semisup.files import writing

SUMMARY = (
    "Measures training steps a second, beside a bare step, the pipeline alone and the machine's\n"
    "peak. It takes the flags of semisup-train, since a step depends on most of them, but trains\n"
    "in a temporary folder, for as long as --rounds and --steps say. Without flags, it measures\n"
    "the step of the MNIST recipes, on digits that need no download."
)

TRAINING = "training"
BARE = "bare step, constant batch"
FIT = "fit, constant batch"
PIPELINE = "input pipeline alone"
TERM = "similarity term alone, "
GENERATOR = "images generated, "
PEER = "PyTorch, "
UNWATCHED = "fit, gradients not measured"
LOOK = "looks into the layers"

# A batch takes the pipeline far less time than a step takes, and a few wait in its buffer.
_BATCHES_A_STEP = 20
_LOOKS = 3
# About how long the matrix products of a turn take.
_PRODUCT_SECONDS = 1.0
_PATHS = ("logdir", "data_dir", "cache_dir")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(TrainConfig):
    """Settings of a training, and of its measurement (see the help of each field's flag)."""

    rounds: int = option(5, "Benchmark", "Rounds to measure, after one to warm up.", least=1)
    steps: int = option(50, "Benchmark", "Training steps in a round.", least=1)
    similarity_terms: bool = option(
        False,
        "Benchmark",
        "Measure association, MMD and CORAL alone, too: their forward and backward pass from "
        "embeddings of the batches' sizes, beside the whole step's.",
    )
    association: bool = option(
        False,
        "Benchmark",
        "Measure no training, but the association of small and large batches: time and memory of "
        "walks over all pairs, and of the form that is chosen. Takes minutes and 4 GB.",
    )
    peers: bool = option(
        False,
        "Benchmark",
        "Measure the bare step of the MNIST recipes in PyTorch, too, as it is and compiled. Needs "
        "the extra torch, and a compiler.",
    )
    inspection: bool = option(
        False,
        "Benchmark",
        "Measure the fit without the norms of the gradients, and the looks into the layers that "
        "come every --inspect_interval steps, too.",
    )
    generated_images: int = option(
        0,
        "Benchmark",
        "Images to generate of synthetic digits, signs and MNIST-M in a round, on all cores; "
        "0: do not measure that.",
        least=0,
    )
    output: str = option("", "Benchmark", "JSON file to write the measurements to.")

    def __post_init__(self):
        super().__post_init__()
        if self.steps % self.steps_per_execution:
            raise UserError(
                f"--steps_per_execution={self.steps_per_execution} does not divide "
                f"--steps={self.steps}"
            )
        if self.peers:
            peers.check(self)
        if self.inspection and not self.inspect_interval:
            raise UserError("--inspection has nothing to measure with --inspect_interval=0")

    def training_config(self, logdir):
        """Return the `TrainConfig` of a training in a folder; a round is an evaluation interval."""
        names = [field.name for field in dataclasses.fields(TrainConfig)]
        settings = {
            **{name: getattr(self, name) for name in names},
            "logdir": logdir,
            "max_steps": self.steps * (self.rounds + 1),
            "eval_interval": self.steps,
            "progress": False,
        }
        return TrainConfig(**settings)


def main():
    flags.run(
        _benchmark,
        BenchmarkConfig,
        program="benchmark",
        summary=SUMMARY,
        recipes=os.path.join(os.path.dirname(semisup.__file__), "recipes"),
    )


def _benchmark(config):
    if config.output:
        try:
            open(config.output, "a").close()
        except OSError as error:
            raise UserError(f"--output={config.output}: {error.strerror}") from None
    from semisup.cli import terminal

    terminal.import_quietly()
    report = association_report() if config.association else training_report(config)
    if config.output:
        writing.write_json(config.output, report)


def association_report():
    """Measure the association alone, show it, and return what was measured, ready for JSON."""
    measured = associations.measure()
    ratios = associations.ratios(measured)
    for name, ratio in ratios.items():
        print(f"{name}, {associations.CHOSEN} / {associations.ALL_PAIRS}: {ratio:.3g}")
    return {
        "embedding_width": associations.WIDTH,
        "measured": measured,
        "ratios": ratios,
    } | _origin()


def training_report(config):
    """Measure the training of a `BenchmarkConfig`, show the table, and return the report."""
    with tempfile.TemporaryDirectory(prefix="semisup-benchmark-") as logdir:
        benchmark = Benchmark(config, config.training_config(logdir))
        benchmark.run()
    report = benchmark.report()
    print(describe(report))
    return report


class Benchmark:
    """A training in which the other contestants take the place of each evaluation.

    Args:
        config: a `BenchmarkConfig`.
        training_config: the `TrainConfig` of the training.
    """

    def __init__(self, config, training_config):
        self.config = config
        self.training_config = training_config
        self.rates = {}
        self.memory = {}
        self._others = {}

    def run(self):
        """Measure all rounds."""
        import keras

        from semisup.machine import backend
        from semisup.machine.signals import StopSignals
        from semisup.run import admission, callbacks, directory, inspection
        from semisup.run.session import Session
        from semisup.task import TASK as task

        config = self.training_config
        # Do what `training.train` does for a new run, without evaluations and results.
        run = directory.RunDirectory(config.logdir)
        backend.set_up(config)
        keras.utils.set_random_seed(config.seed)
        self.data = task.load_data(config)
        self.model = self._build_model(config)
        admission.begin(run, config, task.name, overwrite=False)
        signals = StopSignals()
        session = Session(config, task, run, self.data, self.model, 0, signals)
        session.callbacks = [
            epoch_timer(self._finish_round)
            if isinstance(callback, callbacks.Evaluation)
            else callback
            for callback in session.callbacks
        ]
        self._inspection = next(
            callback
            for callback in session.callbacks
            if isinstance(callback, inspection.Inspection)
        )
        session.fit()
        session.recorder.close()
        self.memory["all contestants"] = memory_in_use()

    def _build_model(self, config):
        from semisup.task import TASK as task

        data = self.data
        return task.build_model(config, data.record, data)

    def _classes_in_a_batch(self):
        return self.training_config.classes_per_batch or len(self.data.class_names)

    def _finish_round(self, seconds):
        """Give the other contestants their turns, once the training has had its own in a round."""
        if not self._others:
            self.memory["training alone"] = memory_in_use()
            self._others = self._prepare_others()
        self._add(TRAINING, self.config.steps / seconds)
        for name, turn in self._others.items():
            self._add(name, turn())
        number = len(self.rates[TRAINING]) - 1
        shown = ", ".join(f"{name}: {self.rates[name][-1]:.2f}" for name in (TRAINING, FIT, BARE))
        text = f"round {number} of {self.config.rounds}, steps a second: {shown}"
        print(text if number else "warmed up", flush=True)

    def _add(self, name, rate):
        self.rates.setdefault(name, []).append(rate)

    def _prepare_others(self):
        """Return functions by the contestants' names; each takes a turn and returns its rate."""
        import keras

        from semisup.run.building import compile_model

        config, steps = self.training_config, self.config.steps
        batches = iter(self.data.batches(0))
        batch = keras.tree.map_structure(np.asarray, next(batches))
        take_steps = bare_steps(self._build_model(config), config, batch)
        turns = {
            BARE: lambda: rate(take_steps, steps),
            FIT: functools.partial(fit_rate, self._build_model(config), batch, steps),
        }
        if self.config.peers:
            for name, compiled in (("eager", False), ("compiled", True)):
                peer = peers.torch_steps(self._build_model(config), config, batch, compiled)
                turns[PEER + name] = functools.partial(rate, peer, steps)
        if self.config.inspection:
            unwatched = compile_model(config, self._build_model(config), unwatched_adam())
            turns[UNWATCHED] = functools.partial(fit_rate, unwatched, batch, steps)
            turns[LOOK] = lambda: rate(self._look, _LOOKS)
        if self.config.similarity_terms:
            width = self.model.classifier.kernel.shape[0]
            labels = np.arange(self._classes_in_a_batch()).repeat(config.sup_per_batch)
            for name, term in similarity_terms().items():
                gradients = similarity_gradients(term, labels, config.unsup_batch_size, width)
                turns[TERM + name] = functools.partial(rate, gradients, steps)
        if self.config.generated_images:
            for name, generate in generators().items():
                turns[GENERATOR + name] = functools.partial(
                    rate, generate, self.config.generated_images
                )
        turns[PIPELINE] = lambda: rate(
            lambda count: [next(batches) for _ in range(count)][-1], steps * _BATCHES_A_STEP
        )
        for dtype in dict.fromkeys(("float32", config.precision)):
            size, count = fastest_products(dtype, _PRODUCT_SECONDS)
            turns[_product_name(dtype)] = functools.partial(product_rate, dtype, size, count)
        return turns

    def _look(self, count):
        for _ in range(count):
            self._inspection.look(self.model, {})

    def report(self):
        """Return everything measured, ready for JSON."""
        config = self.training_config
        labelled = config.sup_per_batch * self._classes_in_a_batch()
        unlabelled = 0 if self.model.similarity is None else config.unsup_batch_size
        flops = step_flops(self.model, labelled, unlabelled)
        measured = {name: np.array(values[1:]) for name, values in self.rates.items()}
        peak = measured[_product_name(config.precision)]
        ratios = {
            "training / bare step": measured[TRAINING] / measured[BARE],
            "fit / bare step": measured[FIT] / measured[BARE],
            "pipeline / training": measured[PIPELINE] / measured[TRAINING],
            "training / peak": measured[TRAINING] * flops / peak,
            "bare step / peak": measured[BARE] * flops / peak,
        }
        for name, speed in measured.items():
            if name.startswith(PEER):
                ratios[f"bare step / {name}"] = measured[BARE] / speed
            if name.startswith(TERM):
                # Rates are the inverse of times.
                ratios[f"time of {name.removeprefix(TERM)} / bare step"] = measured[BARE] / speed
        if LOOK in measured:
            ratios["fit / fit, gradients not measured"] = measured[FIT] / measured[UNWATCHED]
            steps_a_look = measured[LOOK] * config.inspect_interval
            name = f"time of a look / {config.inspect_interval} steps"
            ratios[name] = measured[TRAINING] / steps_a_look
        return {
            "settings": {
                name: value for name, value in config.to_dict().items() if name not in _PATHS
            },
            "jit_compile": bool(self.model.jit_compile),
            "steps_per_round": self.config.steps,
            "images_per_step": [labelled, unlabelled],
            "flop_per_step": flops,
            "rates_per_second": {name: _summary(values) for name, values in measured.items()},
            "ratios": {name: _summary(values) for name, values in ratios.items()},
            "memory_mib": self.memory,
            **_origin(),
        }


def _origin():
    """Return with what a report was measured."""
    import keras

    from scripts import findings

    return {"backend": keras.backend.backend(), **findings.made_with()}


def _product_name(dtype):
    return f"matrix product, {dtype}"


def _summary(values):
    quartiles = np.percentile(values, [25, 50, 75])
    low, median, high, *values = (float(f"{value:.6g}") for value in (*quartiles, *values))
    return {"median": median, "quartiles": [low, high], "rounds": values}


def describe(report):
    """Format the report as a table for the screen."""
    settings, flops, hardware = (report[name] for name in ("settings", "flop_per_step", "hardware"))
    lines = [
        f"\n{settings['architecture']}, {' + '.join(map(str, report['images_per_step']))} images, "
        f"{flops / 1e9:.2f} GFLOP a step; {settings['precision']}, {report['backend']}, "
        f"jit_compile {'on' if report['jit_compile'] else 'off'}",
        ", ".join([hardware["processor"], f"{hardware['cores']} cores", *hardware["accelerators"]]),
        f"{'':40}{'median':>10}{'quartiles':>20}",
    ]
    for name, speed in report["rates_per_second"].items():
        if name.startswith("matrix product"):
            lines.append(_line(f"{name}, GFLOP/s", speed, 1e-9, ".1f"))
            continue
        lines.append(_line(f"{name}, 1/s", speed, 1, ".2f"))
        if name in (TRAINING, BARE, FIT):
            lines.append(_line("    GFLOP/s", speed, flops * 1e-9, ".1f"))
    lines += [_line(name, ratio, 1, ".3f") for name, ratio in report["ratios"].items()]
    for name, memory in report["memory_mib"].items():
        parts = ", ".join(f"{kind} {mib}" for kind, mib in memory.items())
        lines.append(f"{f'memory of {name}, MiB':40}  {parts}")
    return "\n".join(lines)


def _line(name, summary, factor, form):
    low, high = (format(factor * value, form) for value in summary["quartiles"])
    return f"{name:40}{format(factor * summary['median'], form):>10}{f'{low} - {high}':>20}"


if __name__ == "__main__":
    main()
