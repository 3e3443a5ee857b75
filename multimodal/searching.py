"""The search for images that a sentence describes."""

import logging
import os
from pathlib import Path

import numpy as np

from multimodal.task import TASK
from semisup.data import new_images
from semisup.errors import UserError
from semisup.files import writing
from semisup.files.names import printable
from semisup.run import belongings
from semisup.use import outputs
from semisup.use.contact_sheet import contact_sheet
from semisup.use.trained import TrainedRun

HEADER = ("path", "cosine")

_logger = logging.getLogger(__name__)


def search(settings):
    """Find images as a command's settings say, and write and print them.

    Args:
        settings: a `SearchConfig`.

    Raises:
        UserError: if the run or the images are not as they should be.
    """
    output, sheet = _outputs(settings)
    trained = TrainedRun(
        settings.logdir,
        settings.step,
        settings.eval_batch_size,
        task=TASK,
        # So that the next sentence is looked for at once.
        keep_features=True,
    )
    images = new_images.in_folder(settings.images, trained.preparation)
    unknown = unknown_words(trained.model, settings.sentence)
    if unknown:
        _logger.warning("words that no training caption has: %s", printable(", ".join(unknown)))
    (query,) = trained.predictor.sentence_embeddings([settings.sentence])
    indices, cosines = [], []
    for block in images.blocks(settings.eval_batch_size):
        indices.append(block.indices)
        cosines.append(trained.predictor.embeddings(block.images) @ query)
    new_images.count_readable(images)
    indices, cosines = np.concatenate(indices), np.concatenate(cosines)
    best = np.argsort(-cosines, kind="stable")[: settings.count]
    found = [
        (images.names[index], cosine)
        for index, cosine in zip(indices[best], cosines[best], strict=True)
    ]
    for name, cosine in found:
        _logger.info("%.3f  %s", cosine, printable(name))
    writing.write_table(output, HEADER, [(name, f"{cosine:.4f}") for name, cosine in found])
    captions = [(Path(name).name, f"{cosine:.2f}") for name, cosine in found]
    contact_sheet(images.images(indices[best]), captions, sheet)
    _logger.info("wrote %s and %s: the best of %s images", output, sheet, f"{len(indices):,}")


def _outputs(settings):
    """Return the paths of the table and of the contact sheet, which replace only their own kind."""
    output = Path(settings.output).expanduser()
    belongings.check_is_no_part("output", settings.output)
    outputs.check_replaceable(output, ",".join(HEADER))
    sheet = output.with_suffix(".png")
    # A search writes the table first.
    if os.path.lexists(sheet) and not output.exists():
        raise UserError(
            f"--output={settings.output}: the contact sheet would replace {sheet}, which no search "
            "has written: give another name"
        )
    return output, sheet


def unknown_words(model, sentence):
    """Return the words of a sentence that a `MultimodalModel` does not know."""
    return [word for word in sentence.split() if np.array_equal(model.words_of([word])[0, :1], [1])]
