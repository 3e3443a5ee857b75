"""Images with captions, and which of them are for training and for testing."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from multimodal import captions as caption_files
from semisup.cli.dataset_names import FOLDER, check_folder, is_folder
from semisup.data import cache, datasets, folder_layout, folders, tfds_source
from semisup.errors import UserError, shown

FOLDS = 5
_SPLITS = ("train", "test")
_CAPTIONED = "captioned"


@dataclasses.dataclass(frozen=True, eq=False)
class Captioned:
    """Images and their captions.

    Attributes:
        images: (n, height, width, channels) uint8, in memory or memory-mapped.
        captions: list of m sentences.
        numbers: (m,) int, for each sentence the image that it belongs to.
    """

    images: np.ndarray
    captions: list
    numbers: np.ndarray

    def of(self, chosen, copy=True):
        """Return some of the images, and their captions.

        Args:
            chosen: (k,) int, places of images, without repetition.
            copy: whether the images are copied; else all remain, and only captions are left out.
        """
        places = np.full(len(self.images), -1)
        places[chosen] = np.arange(len(chosen)) if copy else chosen
        kept = np.flatnonzero(places[self.numbers] >= 0)
        images = self.images[chosen] if copy else self.images
        return Captioned(images, [self.captions[i] for i in kept], places[self.numbers[kept]])

    @property
    def split(self):
        """The images as a `Split`, whose labels are the images of the sentences."""
        return datasets.Split(self.images, self.numbers)


def digest_of(sentences):
    """Return a short name for the content of a list of sentences."""
    text = "\n".join(sentences).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:16]


def load(config):
    """Load the images and captions of a configuration.

    Args:
        config: a `TrainConfig`.

    Returns:
        The `Captioned` to train with and those to measure on, and lines to print on what was found.

    Raises:
        UserError: if something is missing, or does not fit.
    """
    if not config.dataset:
        raise UserError("--dataset is missing: give a folder of images, or a name with captions")
    wholes, chosen, notes = (_in_folder if is_folder(config.dataset) else _of_tfds)(config)
    counts = [len(places) for places in chosen]
    if not all(counts):
        raise UserError(
            f"--dataset={config.dataset}: no image is for training, or none for testing"
        )
    if config.validation_samples:
        if config.validation_samples >= counts[0]:
            raise UserError(
                f"--validation_samples={config.validation_samples} leaves none of the {counts[0]} "
                "training images"
            )
        drawn = np.random.default_rng([config.split_seed, 0x7A11]).permutation(chosen[0])
        held_out, kept = np.split(drawn, [config.validation_samples])
        wholes, chosen = (wholes[0], wholes[0]), (np.sort(kept), np.sort(held_out))
    purpose = "validate" if config.validation_samples else "test"
    counts = [len(places) for places in chosen]
    notes += (f"{counts[0]:,} images to train with, {counts[1]:,} to {purpose} on",)
    # What does not fit into memory is not copied.
    in_memory = not isinstance(wholes[0].images, np.memmap)
    return wholes[0].of(chosen[0], copy=in_memory), wholes[1].of(chosen[1]), notes


def folds(count, seed, fold):
    """Say for each of some images whether it is for training or for testing.

    Args:
        count: number of images.
        seed: seed of a shuffle of the images.
        fold: which fifth of the shuffled images is for testing, 0 to 4.

    Returns:
        (count,) array of "train" and "test".
    """
    turns = np.random.default_rng([seed, 0xF01D]).permutation(count) % FOLDS
    return np.where(turns == fold, "test", "train")


def find(config):
    """Find the captions of a folder, and their images.

    Args:
        config: a `TrainConfig` whose data set is a folder.

    Returns:
        The `Layout` of the images, the file of each image by its name in a caption, the captions,
        and the file that they were read from.

    Raises:
        UserError: if something is missing, or does not fit.
    """
    root = Path(config.dataset.removeprefix(FOLDER))
    check_folder("dataset", root)
    path = config.captions or caption_files.find(root)
    captions = caption_files.read(
        path, config.image_column, config.caption_column, config.split_column
    )
    files = caption_files.located(captions, root, folder_layout.images_below(root))
    # An image counts once, whatever its name in a line.
    images = {_CAPTIONED: list(dict.fromkeys(files[name] for name in sorted(files)))}
    return folder_layout.Layout.unlabelled(root, images), files, captions, path


def _in_folder(config):
    whole, files, captions, path = find(config)
    contents, layout = folders.open_layout(
        whole, image_size=config.new_size, fit=config.fit, skip_broken=config.skip_broken
    )
    images, _ = cache.read(contents.sources[_CAPTIONED], cache_dir=config.cache_dir)
    place = {file: number for number, file in enumerate(layout.files[_CAPTIONED])}
    captions = [caption for caption in captions if files[caption.image] in place]
    numbers = np.array([place[files[caption.image]] for caption in captions])
    captioned = Captioned(images, [caption.text for caption in captions], numbers)
    splits = _splits(captions, numbers, len(place), config, path)
    chosen = [np.flatnonzero(splits == split) for split in _SPLITS]
    return (captioned, captioned), chosen, (_note(whole.root, captioned),)


def _splits(captions, numbers, count, config, path):
    if not captions[0].split:
        return folds(count, config.split_seed, config.fold)
    if config.fold:
        raise UserError(f"--fold={config.fold} has no effect: {path} has a column of splits")
    splits = np.full(count, "", object)
    for caption, number in zip(captions, numbers, strict=True):
        if splits[number] not in ("", caption.split):
            raise UserError(
                f"--captions={path}: {shown(caption.image)} is in {shown(splits[number])} and in "
                f"{shown(caption.split)}"
            )
        splits[number] = caption.split
    return splits


def _of_tfds(config):
    if config.fold:
        raise UserError(f"--fold={config.fold} has no effect: {config.dataset} has splits")
    contents = datasets.open_dataset(config.dataset, **config.reading, labelled=False)
    wholes = []
    for split in (datasets.find_split(config.dataset, contents.sources, name) for name in _SPLITS):
        images, _ = cache.read(contents.sources[split], cache_dir=config.cache_dir)
        texts = tfds_source.texts(
            config.dataset, split, ("captions", "text"), data_dir=config.resolved_data_dir
        )
        numbers = np.repeat(np.arange(len(texts)), [len(found) for found in texts])
        wholes.append(Captioned(images, [text for found in texts for text in found], numbers))
    notes = tuple(_note(config.dataset, whole) for whole in wholes)
    # Images without a caption are left out.
    return tuple(wholes), [np.unique(whole.numbers) for whole in wholes], notes


def _note(name, whole):
    return f"{name}: {len(whole.images):,} images with {len(whole.captions):,} captions"
