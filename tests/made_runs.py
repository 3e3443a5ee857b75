"""Runs that need no training: their network tells the colours of images as it is."""

import keras
import numpy as np
from PIL import Image

from semisup.run import admission, checkpoints
from semisup.run.directory import RunDirectory

# In the order of the classes' names: green, red, and a blue that is composed of two characters.
BLUE = "tre\u0301s bleu"
COLOURS = {"green": (0, 255, 0), "red": (255, 0, 0), BLUE: (0, 0, 255)}


def write_image(path, colour, shade=1.0, size=8):
    """Writes an image of one colour; a small shade makes it nearly black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size, size, 3), np.array(colour) * shade, "uint8")
    Image.fromarray(pixels).save(path)


def write_photos(root):
    """Writes a folder of labelled and unlabelled images."""
    for name, colour in COLOURS.items():
        for number in range(8):
            write_image(root / "train" / name / f"{number}.png", colour, 0.5 + number / 16)
            write_image(root / "unlabelled" / f"{colour}{number}.png", colour, 0.5 + number / 16)
        for number in range(2):
            write_image(root / "test" / name / f"{number}.png", colour, 0.7)
    return root


def make_run(folder, name, task, **settings):
    """Makes a run of a network that embeds an image as its mean colour."""
    network = folder / "colours.keras"
    keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
        ]
    ).save(network)
    config = task.config_class(
        logdir=str(folder / name),
        architecture=str(network),
        eval_batch_size=5,
        unsup_batch_size=5,
        **settings,
    )
    data = task.load_data(config)
    model = task.build_model(config, data.record, data)
    channels = [1, 0, 2][: model.num_classes]
    model.classifier.set_weights([4 * np.eye(3)[:, channels], np.zeros(len(channels))])
    run = RunDirectory(config.logdir)
    admission.begin(run, config, task.name, False)
    run.keep_network(config, model.network)
    run.write_json("data.json", data.record)
    checkpoints.save(model, run.checkpoints, 0, 1)
    return run
