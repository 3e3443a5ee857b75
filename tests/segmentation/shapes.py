"""Made-up images of coloured shapes with label maps, and a tiny network."""

import os

import keras
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32
COLOURS = ((30, 60, 120), (200, 60, 40), (60, 200, 80))
VOID = 9


def network(folder):
    """Path of a small network with maps of stride 2, 4 and 8, for images of another size."""
    path = os.path.join(folder, "network.keras")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 127.5, -1.0)]
    for filters in (16, 16, 16):
        layers.append(keras.layers.Conv2D(filters, 3, 2, padding="same", activation="elu"))
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)]
    keras.Sequential(layers).save(path)
    return path


def drawn(generator):
    """An image (24, 32, 3) and its map: ground, a square and a disc; a frame is void."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    places = np.zeros((HEIGHT, WIDTH), int)
    top, left = generator.integers(2, 12, 2)
    places[top : top + 10, left : left + 10] = 1
    row, column = generator.integers(6, 18), generator.integers(20, 28)
    places[(rows - row) ** 2 + (columns - column) ** 2 < 25] = 2
    pixels = np.array(COLOURS)[places] + generator.normal(0, 12, (HEIGHT, WIDTH, 3))
    places[0] = VOID
    return pixels.clip(0, 255).astype("uint8"), places.astype("uint8")


def dataset(folder, counts=(("train", 8), ("test", 4), ("val", 3)), unlabelled=3):
    """Makes folders of images and label maps, some of them with a palette; returns the path."""
    generator = np.random.default_rng(0)
    for split, count in counts:
        os.makedirs(folder / split)
        os.makedirs(folder / f"{split}_labels")
        for number in range(count):
            image, places = drawn(generator)
            Image.fromarray(image).save(folder / split / f"{number:02}.png")
            label_map = Image.fromarray(places)
            if number % 2:
                label_map = label_map.convert("P")
                # `convert` keeps the numbers of grey values.
                label_map.putpalette(bytes(range(256)) * 3)
            label_map.save(folder / f"{split}_labels" / f"{number:02}.png")
    os.makedirs(folder / "unlabelled")
    for number in range(unlabelled):
        Image.fromarray(drawn(generator)[0]).save(folder / "unlabelled" / f"{number}.png")
    return folder


def settings(folder, **changes):
    """Settings of a short training on `dataset`."""
    values = {
        "dataset": str(folder / "shapes"),
        "classes": "ground,square,disc",
        "ignore": str(VOID),
        "architecture": str(folder / "network.keras"),
        "cache_dir": str(folder / "cache"),
        "labelled_images": 2,
        "labelled_pixels": 30,
        "unlabelled_pixels": 40,
        "emb_size": 8,
        "head_units": 16,
        "max_steps": 40,
        "eval_interval": 20,
        "checkpoint_interval": 20,
        "log_interval": 10,
        "inspect_interval": 20,
        "eval_batch_size": 3,
        "learning_rate": 0.03,
        "average_decay": 0.5,
        "progress": False,
    }
    return {**values, **changes}
