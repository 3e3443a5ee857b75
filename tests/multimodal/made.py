"""Made-up images of plain colours, with captions that name the colour and the brightness."""

import csv
import itertools
import os

import keras
import numpy as np
from PIL import Image

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "grey": (1, 1, 1)}
SHADES = {"dark": 90, "pale": 220}


def network(folder):
    """Path of a small network from 8 x 8 images to features."""
    path = os.path.join(folder, "network.keras")
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(16, activation="elu"),
    ]
    keras.Sequential(layers).save(path)
    return path


def photos(folder, each=5):
    """Makes a folder of images with `captions.csv`, two captions an image; returns its path."""
    os.makedirs(folder / "images")
    generator = np.random.default_rng(0)
    rows = []
    kinds = itertools.product(COLOURS, SHADES, range(each))
    for number, (colour, shade, _) in enumerate(kinds):
        pixels = np.array(COLOURS[colour]) * SHADES[shade] + generator.normal(0, 4, (8, 8, 3))
        name = f"{number:03}.png"
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(folder / "images" / name)
        rows += [(name, f"A {shade} {colour} square."), (name, f"something {colour}, {shade}")]
    with open(folder / "captions.csv", "w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *rows])
    return folder


def settings(folder, **changes):
    """Settings of a short training on `photos`."""
    values = {
        "dataset": str(folder / "photos"),
        "architecture": str(folder / "network.keras"),
        "cache_dir": str(folder / "cache"),
        "new_size": 8,
        "emb_size": 8,
        "word_size": 8,
        "sentence_length": 6,
        "batch_size": 16,
        "loss": "infonce+association",
        "max_steps": 40,
        "eval_interval": 20,
        "checkpoint_interval": 20,
        "log_interval": 10,
        "inspect_interval": 20,
        "learning_rate": 0.03,
        "sentence_dropout": 0.1,
        "temperature": 0.1,
        "average_decay": 0.9,
        "progress": False,
    }
    return {**values, **changes}
