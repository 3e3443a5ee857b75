"""The report on a run: metrics of its checkpoints on the screen, as JSON and in TensorBoard."""

import dataclasses
import time

from semisup import backend, checkpoints, evaluation, optimizers, runs, task
from semisup.config import FOLDER
from semisup.data.datasets import fingerprint
from semisup.errors import UserError
from semisup.run_directory import RunDirectory


def evaluate_run(settings):
    """Evaluates one checkpoint of a run, or each new one until its training is complete.

    Args:
        settings: the binary's configuration, an `EvalConfig`.

    Raises:
        UserError: if the run, a checkpoint or the data is missing or damaged.
    """
    if settings.follow:
        _wait_for_checkpoint(RunDirectory(settings.logdir), settings.poll_seconds)
    run, config = runs.open_run(settings.logdir)
    backend.set_up(config)
    if settings.data_dir:
        in_folder = config.dataset.startswith(FOLDER)
        moved = {"dataset": FOLDER + settings.data_dir} if in_folder else {}
        config = dataclasses.replace(config, data_dir=settings.data_dir, **moved)
    first = None if settings.step < 0 else settings.step
    model = runs.restore_model(run, config, first)
    data = task.load_data(config)
    record = run.read_record()
    if fingerprint(data.evaluation) != record["evaluation_fingerprint"]:
        raise UserError(
            f"the evaluation images of {config.dataset} are not those of the training in {run.path}"
        )
    predictor = evaluation.Predictor(model, settings.eval_batch_size)
    report = _Reporter(run, config, data, predictor)
    step = runs.step_of(model)
    report.write(step)
    while settings.follow:
        # Asked first: a checkpoint may appear between the two looks.
        training = run.is_training()
        steps = [new for new in checkpoints.list_steps(run.checkpoints) if new > step]
        for step in steps:
            try:
                checkpoints.restore(model, run.checkpoints, step)
            except checkpoints.CheckpointDamaged:
                # Deleted by the trainer while it was read.
                continue
            report.write(step)
        if not steps:
            if not training:
                break
            time.sleep(settings.poll_seconds)
    if settings.follow and run.completed_step() < step:
        print(f"Nobody trains in {run.path} any more, at step {step} of {config.max_steps}.")
    if settings.figures:
        from semisup import figures

        optimizers.put_average(model)
        for path in figures.draw(run, config, data, predictor):
            print(f"wrote {path}")


def _wait_for_checkpoint(run, seconds):
    if not checkpoints.list_steps(run.checkpoints):
        print(f"Waiting for a checkpoint in {run.path} ...", flush=True)
    while not checkpoints.list_steps(run.checkpoints):
        time.sleep(seconds)


class _Reporter:
    def __init__(self, run, config, data, predictor):
        import tensorflow as tf

        self.run = run
        self.config = config
        self.data = data
        self.predictor = predictor
        self.writer = tf.summary.create_file_writer(run.file("eval"))

    def write(self, step):
        """Evaluates the model, which is at a step, and reports its metrics."""
        import tensorflow as tf

        with optimizers.averaged_weights(self.predictor.model):
            predicted = self.predictor.labels(self.data.evaluation.images)
        metrics = evaluation.metrics(self.data.evaluation.labels, predicted, self.data.class_names)
        content = {"step": step, "dataset": self.config.dataset, **metrics}
        self.run.write_json("evaluation.json", content)
        with self.writer.as_default():
            tf.summary.scalar("test_error", metrics["error"], step=step)
            for name, accuracy in metrics["per_class_accuracy"].items():
                if accuracy is not None:
                    tf.summary.scalar(f"accuracy/{name}", accuracy, step=step)
        self.writer.flush()
        print(table(content), flush=True)


def table(content):
    """Metrics as a table for the screen.

    Args:
        content: what `evaluation.metrics` returned, with the `step`.

    Returns:
        Lines of text: the error, and for each class its accuracy and its row of the confusion
        matrix.
    """
    names = list(content["per_class_accuracy"])
    matrix = content["confusion_matrix"]
    width = max(5, *(len(name) for name in names))
    cells = max(4, *(len(str(count)) for row in matrix for count in row)) + 1
    lines = [
        f"step {content['step']}: error {100 * content['error']:.2f} % "
        f"of {content['images']} images",
        "",
        f"{'class':<{width}} accuracy   predicted as "
        + ("" if len(names) > 20 else "".join(f"{name[: cells - 1]:>{cells}}" for name in names)),
    ]
    for name, row in zip(names, matrix, strict=True):
        accuracy = content["per_class_accuracy"][name]
        shown = "      - " if accuracy is None else f"{100 * accuracy:6.2f} %"
        counts = "" if len(names) > 20 else "".join(f"{count:>{cells}}" for count in row)
        lines.append(f"{name:<{width}} {shown:>8}                {counts}")
    return "\n".join(lines)
