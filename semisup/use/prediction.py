"""The prediction of each of many images, written as they come, and what else is made of them."""

import contextlib
import json
import logging
from pathlib import Path

import numpy as np

from semisup.cli import dataset_names
from semisup.data import class_folders, new_images
from semisup.data.folder_layout import counted
from semisup.errors import UserError
from semisup.files.csv_files import write_rows
from semisup.files.replacing import replacing
from semisup.report.uncertainty import predictive_entropy
from semisup.run import belongings, progress
from semisup.use import least_sure, outputs
from semisup.use.trained import TrainedRun

MOST_PROBABLE = 5
"""Classes that are written with their probabilities."""

_COLUMNS = ("path", "class", "probability", "entropy")
_BEGINNINGS = {".csv": ",".join(_COLUMNS), ".jsonl": '{"path": '}

_logger = logging.getLogger(__name__)


def predict_images(settings):
    """Predict images as a command's settings say.

    Args:
        settings: a `PredictConfig`.

    Raises:
        UserError: if the run, the images or a folder to write to are not as they should be.
    """
    output = Path(settings.output).expanduser()
    _check_output(output, settings)
    if settings.sort_into:
        belongings.check_is_no_part("sort_into", settings.sort_into)
    folder = settings.sort_into and class_folders.empty_folder(settings.sort_into)
    _check_outside(folder, settings.images)
    candidates = settings.least_sure and least_sure.Candidates(
        settings.least_sure, settings.uncertainty, settings.duplicates, output
    )
    trained = TrainedRun(
        settings.logdir, settings.step, settings.eval_batch_size, settings.relocated
    )
    images = _images(settings, trained)
    if folder and images.files is None:
        raise UserError("--sort_into sorts files, which this data set has not: give --images")
    calibration = trained.calibration(settings.calibrated_by)
    _logger.info(calibration.describe())
    how = "copy" if settings.copy else "link"
    class_folder_names = class_folders.folder_names(trained.class_names)
    show = progress.image_bar(len(images))
    with replacing(output) as temporary:
        open_writer = _json_lines if output.suffix == ".jsonl" else _csv
        with open_writer(temporary, trained.class_names) as write:
            for prediction in trained.predict(images):
                probabilities = calibration.probabilities(prediction.logits)
                write([images.names[index] for index in prediction.indices], probabilities)
                if folder:
                    guesses = probabilities.argmax(axis=1)
                    for index, guess in zip(prediction.indices, guesses, strict=True):
                        place = folder / class_folder_names[guess]
                        class_folders.place(images.files[index], place, how)
                if candidates:
                    candidates.add(prediction.indices, probabilities, prediction.embeddings)
                show(prediction.indices[-1] + 1)
        show(len(images))
        count = new_images.count_readable(images)
    _logger.info("wrote %s: the predictions of %s", output, counted(count, "image"))
    if folder:
        _logger.info("wrote %s: the images by class", folder)
    if candidates:
        candidates.write(images, trained.class_names)


def _check_output(output, settings):
    if output.suffix not in (".csv", ".jsonl"):
        raise UserError(f"--output={settings.output}: its name has to end in .csv or .jsonl")
    belongings.check_is_no_part("output", settings.output)
    if settings.list and output.resolve() == Path(settings.list).expanduser().resolve():
        raise UserError(f"--output={settings.output} is the list of images itself")
    outputs.check_replaceable(output, _BEGINNINGS[output.suffix])


def _images(settings, trained):
    """Return the images that the settings name, or those without labels that the run has."""
    preparation = trained.preparation
    if settings.images:
        return new_images.in_folder(settings.images, preparation)
    if settings.list:
        return new_images.listed(settings.list, preparation)
    dataset, split = settings.dataset, settings.split
    if not dataset:
        own = trained.task.unlabelled_images(trained.config)
        if own is None:
            raise UserError(
                "which images? give --images=FOLDER, --list=FILE or --dataset=NAME: "
                f"{settings.logdir} was trained without unlabelled images"
            )
        dataset, split = own
        _logger.info("the unlabelled images of the run: %s, %s", dataset, split)
    data_dir = trained.config.resolved_data_dir
    dataset = dataset_names.resolved(dataset, "dataset", data_dir)
    if dataset_names.is_folder(dataset):
        _check_outside(settings.sort_into, dataset.removeprefix(dataset_names.FOLDER))
    return new_images.of_dataset(dataset, split, preparation, data_dir)[1]


def _check_outside(folder, images):
    """Check that images are not sorted into their own folder; either may be empty."""
    if not (folder and images):
        return
    place = Path(folder).expanduser().resolve()
    if Path(images).expanduser().resolve() in (place, *place.parents):
        raise UserError(
            f"--sort_into={folder} lies in the folder of the images: give one beside it"
        )


@contextlib.contextmanager
def _csv(path, class_names):
    """Yield a function that writes rows of names and (k, classes) probabilities."""
    best = range(1, min(MOST_PROBABLE, len(class_names)) + 1)
    header = [*_COLUMNS]
    header += [name for place in best for name in (f"class_{place}", f"probability_{place}")]
    with open(path, "w", encoding="utf-8", newline="") as file:
        write_rows(file, [header])

        def write(names, probabilities):
            rows = []
            for name, entropy, found in _found(names, probabilities, class_names):
                cells = [cell for guess, value in found for cell in (guess, f"{value:.6f}")]
                rows.append([name, *cells[:2], f"{entropy:.6f}", *cells])
            write_rows(file, rows)

        yield write


@contextlib.contextmanager
def _json_lines(path, class_names):
    """Yield a function that writes a line of JSON for each image: see `_csv`."""
    with open(path, "w", encoding="utf-8") as file:

        def write(names, probabilities):
            for name, entropy, found in _found(names, probabilities, class_names):
                best = [{"class": guess, "probability": round(value, 6)} for guess, value in found]
                line = {"path": name, **best[0], "entropy": round(entropy, 6)}
                file.write(json.dumps({**line, "most_probable": best}) + "\n")

        yield write


def _found(names, probabilities, class_names):
    """Yield name, entropy and the most probable classes with their probabilities."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :MOST_PROBABLE]
    entropies = predictive_entropy(probabilities)
    for name, entropy, row, best in zip(names, entropies, probabilities, order, strict=True):
        yield name, float(entropy), [(class_names[guess], float(row[guess])) for guess in best]
