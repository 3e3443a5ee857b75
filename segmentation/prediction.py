"""Label maps of new images, written as they come."""

import logging
from pathlib import Path

import numpy as np
from PIL import Image

from segmentation import colours
from segmentation.label_maps import Classes, resized
from segmentation.task import TASK
from semisup.data import class_folders, image_files, new_images, pixels
from semisup.data.folder_layout import counted
from semisup.errors import UserError
from semisup.files import writing
from semisup.files.replacing import replacing
from semisup.run import belongings
from semisup.use.trained import TrainedRun

_logger = logging.getLogger(__name__)

OVERLAYS = "overlays"
CLASSES = "classes.csv"


def predict_images(settings):
    """Predict label maps as a command's settings say.

    Args:
        settings: a `PredictConfig`.

    Raises:
        UserError: if the run, the images or the folder to write to are not as they should be.
    """
    belongings.check_is_no_part("output", settings.output)
    output = class_folders.empty_folder(settings.output)
    trained = TrainedRun(
        settings.logdir, settings.step, settings.eval_batch_size, settings.relocated, task=TASK
    )
    images = new_images.in_folder(settings.images, trained.preparation)
    root = Path(settings.images).expanduser()
    root = root.parent if root.is_file() else root
    classes = Classes(
        tuple(trained.record["pixel_classes"]), tuple(trained.record["class_numbers"]), ()
    )
    targets = _targets([file.relative_to(root) for file in images.files])
    own = [CLASSES, *([OVERLAYS] if settings.overlays else [])]
    for name in {target.parts[0] for target in targets}.intersection(own):
        raise UserError(f"{root / name} has the name of what is written beside the maps: rename it")
    for block in images.blocks(settings.eval_batch_size):
        for start, maps in trained.predictor.maps(block.images):
            for index, places in zip(block.indices[start:], maps, strict=False):
                target = output / targets[index]
                with image_files.open_image(images.files[index]) as image:
                    shown = pixels.to_array(image, 3)
                places = resized(places, shown.shape[:2])
                _write(target, _label_map(places, classes))
                if settings.overlays:
                    overlay = colours.overlaid(shown, places, len(classes.names))
                    _write(output / OVERLAYS / targets[index], Image.fromarray(overlay))
    _write_classes(output / CLASSES, classes)
    count = new_images.count_readable(images)
    _logger.info("wrote %s: the label maps of %s", output, counted(count, "image"))


def _targets(files):
    """Return the label map of each image file, where others and folders have other names.

    Args:
        files: paths of the images below their folder.
    """
    taken, targets = {folder for file in files for folder in file.parents}, []
    for file in files:
        target, longer = file.with_suffix(".png"), file
        while target in taken:
            target = longer = longer.with_name(f"{longer.name}.png")
        taken.add(target)
        targets.append(target)
    return targets


def _write_classes(path, classes):
    """Write what the numbers of label maps, and the colours of their palette, stand for."""
    colour = colours.palette(len(classes.names))
    rows = [
        [number, name, "#" + bytes(colour[place]).hex()]
        for place, (number, name) in enumerate(zip(classes.numbers, classes.names, strict=True))
    ]
    writing.write_table(path, ["number", "class", "colour"], rows)


def _label_map(places, classes):
    numbers = classes.to_file(places)
    if numbers.dtype != np.uint8:
        return Image.fromarray(numbers)
    image = Image.fromarray(numbers).convert("P")
    table = np.zeros((256, 3), np.uint8)
    table[list(classes.numbers)] = colours.palette(len(classes.names))[: len(classes.names)]
    image.putpalette(table.ravel().tolist())
    return image


def _write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG")
