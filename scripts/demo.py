"""Two trainings with 10 labels a class, on the labels alone and by association; see demo.sh."""

import contextlib
import io
import os
import sys
import tempfile

from semisup.cli import flags
from semisup.config import TrainConfig
from semisup.errors import UserError

FOLDER = os.path.join("runs", "demo")

# The time of both trainings on this machine, without evaluations, figures and start-up.
TRAINING_SECONDS = 250
MOST_STEPS = 1500
STEPS_IN_A_TRIAL = 30

ASSOCIATION = {"dataset": "mnist_5k", "sup_per_class": 10}
# The settings that did best on the labels alone: without unlabelled images, the network wants less
# weight decay and smaller steps.
LABELS_ALONE = {
    **ASSOCIATION,
    "similarity": "none",
    "l2_weight": 1e-4,
    "learning_rate": 3e-4,
    "decay_steps": 500,
}


def main():
    """Time the precisions, train twice, and draw the figures."""
    if len(sys.argv) > 1:
        raise UserError(f"unexpected argument {sys.argv[1]!r}: the demo takes none")
    from semisup.cli import terminal

    terminal.import_quietly()
    from semisup.machine import environment

    # Emulated, bfloat16 would take minutes to time.
    emulated = environment.emulates_bfloat16(environment.hardware())
    precisions = ("float32",) if emulated else ("float32", "bfloat16")
    print(f"Timing {' and '.join(precisions)} ...", flush=True)
    speeds = {precision: _speed(precision) for precision in precisions}
    precision = max(speeds, key=speeds.get)
    # A step on the labels alone sees half the images.
    affordable = TRAINING_SECONDS / 1.5 * speeds[precision]
    steps = max(100, min(MOST_STEPS, int(affordable / 50) * 50))
    timed = ", ".join(f"{speed:.1f} in {name}" for name, speed in speeds.items())
    print(f"{steps} steps in {precision} (steps a second: {timed})")
    errors = {}
    for name, settings in (("labels_alone", LABELS_ALONE), ("association", ASSOCIATION)):
        print(f"\n{name.replace('_', ' ').capitalize()}:")
        errors[name] = _train(
            os.path.join(FOLDER, name),
            **settings,
            precision=precision,
            max_steps=steps,
            eval_interval=min(250, steps),
            checkpoint_interval=min(250, steps),
        )["test_error"]
    logdir = os.path.join(FOLDER, "association")
    _draw(logdir)
    print(
        f"\nTest error on 1,000 digits after {steps} steps with 10 labels a class:\n"
        f"  on the labels alone  {100 * errors['labels_alone']:5.1f} %\n"
        f"  by association       {100 * errors['association']:5.1f} %\n\n"
        f"Figures:     {os.path.join(logdir, 'figures')}\n"
        f"TensorBoard: {os.path.join(os.path.dirname(sys.executable), 'tensorboard')} "
        f"--logdir={FOLDER}"
    )


def _train(logdir, **settings):
    """Train, and return the content of `results.json`."""
    from semisup.run import training
    from semisup.run.directory import RunDirectory
    from semisup.task import TASK as task

    status = training.train(TrainConfig(logdir=logdir, overwrite=True, **settings), task)
    if status:
        print("(The demo itself begins anew when it is called again.)")
        sys.exit(status)
    return RunDirectory(logdir).read_json("results.json")


def _speed(precision):
    """Return the steps per second of the association's training."""
    # So few steps teach it nothing worth showing.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        results = _train(
            folder,
            **ASSOCIATION,
            precision=precision,
            max_steps=STEPS_IN_A_TRIAL,
            log_interval=10,
            progress=False,
        )
    return results["median_steps_per_second"]


def _draw(logdir):
    from semisup.eval import EvalConfig
    from semisup.report import reporting
    from semisup.task import TASK as task

    reporting.evaluate_run(EvalConfig(logdir=logdir, figures=True), task)


if __name__ == "__main__":
    flags.guard(main, program="demo")
