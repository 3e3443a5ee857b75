"""Images with and without label maps, which of them are labelled, and the batches of pixels."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np

from segmentation import label_maps
from semisup.cli.choices import SPLIT_ALIASES
from semisup.cli.dataset_names import FOLDER, check_folder
from semisup.data import cache, datasets, folder_layout, folder_walk, folders
from semisup.errors import UserError

_SPLITS = ("train", "test", "validation", "unlabelled")
_TRAINING, _EVALUATION = "training", "evaluation"


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, of which some have label maps.

    Attributes:
        images: (n, height, width, channels) uint8, in memory or memory-mapped.
        labelled: (k,) int, places of the images that have one.
        maps: (k, height, width) uint8, places of classes, `NO_CLASS` for what does not count; in
            memory or memory-mapped.
    """

    images: np.ndarray
    labelled: np.ndarray
    maps: np.ndarray

    @property
    def split(self):
        """The images as a `Split`, with a checksum of each label map, for fingerprints."""
        sums = [zlib.crc32(np.ascontiguousarray(each)) >> 1 for each in self.maps]
        return datasets.Split(self.images, np.array(sums, np.int32))


def load(config):
    """Load the images and label maps of a configuration.

    Args:
        config: a `TrainConfig`.

    Returns:
        The `LabelledImages` to train with, of which `labelled` are the ones that were drawn; those
        to measure on, which are all labelled; the `Classes`; and lines to print on what was found.

    Raises:
        UserError: if something is missing, or does not fit.
    """
    if not config.dataset:
        raise UserError("--dataset is missing: give a folder of images and label maps")
    whole, maps = find(config)
    contents, layout = folders.open_layout(
        whole, image_size=config.new_size, fit=config.fit, skip_broken=config.skip_broken
    )
    # Not before: some images may have been left out.
    drawn = _draw([image for image in layout.files[_TRAINING] if image in maps], config)

    def numbers():
        known = (label_maps.read(maps[image]) for image in whole.files[_TRAINING] if image in maps)
        return {number for each in known for number in np.unique(each).tolist()}

    classes = label_maps.parse(config.classes, config.ignore, numbers)
    training, evaluation = (
        _read(contents.sources[name], layout.files[name], used, maps, classes, config)
        for name, used in ((_TRAINING, drawn), (_EVALUATION, set(layout.files[_EVALUATION])))
    )
    names = ", ".join(
        name for place, name in enumerate(classes.names) if not np.any(training.maps == place)
    )
    notes = (
        f"{whole.root}: {len(training.images):,} images to train with, of which "
        f"{len(training.labelled):,} are labelled"
        + (f" (no pixel of {names})" if names else "")
        + f"; {len(evaluation.images):,} to measure on",
    )
    return training, evaluation, classes, notes


def find(config):
    """Find the images of a configuration, and their label maps.

    Args:
        config: a `TrainConfig`.

    Returns:
        The `Layout` of the images to train with and of those to measure on, and the file of the
        label map of each image that has one.

    Raises:
        UserError: if something is missing.
    """
    root = Path(config.dataset.removeprefix(FOLDER))
    found = _folders(root, config.label_suffix)
    train, tested = (_pairs(root, found, split) for split in ("train", config.test_split))
    maps = {image: path for image, path in {**train, **tested}.items() if path is not None}
    extra = folder_layout.images_below(found["unlabelled"][0]) if "unlabelled" in found else []
    parts = {_TRAINING: [*train, *extra], _EVALUATION: [image for image in tested if image in maps]}
    return folder_layout.Layout.unlabelled(root, parts), maps


def _folders(root, suffix):
    """Return the folders of images and of label maps (None if missing) of each split."""
    check_folder("dataset", root)
    by_name = {folder.name: folder for folder in folder_walk.entries(root)[0]}
    found = {}
    for name, folder in by_name.items():
        split = SPLIT_ALIASES.get(name.lower(), name.lower())
        if split in found:
            raise UserError(f"{root}: {found[split][0].name} and {name} are one split: keep one")
        if split in _SPLITS:
            found[split] = folder, by_name.get(name + suffix)
    return found


def _pairs(root, found, split):
    """Return the images of a split with their label maps, None where there is none."""
    folder, labels = found.get(split, (None, None))
    if labels is None:
        missing = "no folder of that name" if folder is None else "no folder of its label maps"
        if split == "test" and "validation" in found:
            missing += f": --test_split=validation measures on {found['validation'][0].name}"
        raise UserError(
            f"{root}: there has to be a folder {split}, and one with the same name and "
            f"--label_suffix of its label maps; there is {missing}"
        )

    def by_stem(folder):
        found = {}
        for file in folder_layout.images_below(folder):
            stem = folder_walk.composed(str(file.relative_to(folder).with_suffix("")))
            other = found.setdefault(stem, file)
            if other != file:
                raise UserError(f"{other} and {file.name} have one name: keep one of them")
        return found

    known = by_stem(labels)
    pairs = {image: known.get(stem) for stem, image in by_stem(folder).items()}
    if not any(pairs.values()):
        raise UserError(f"{labels} has no label map with the name of an image in {folder}")
    return pairs


def _draw(images, config):
    """Return the images that are labelled; fewer of them are among more."""
    count = config.labelled_images
    if count > len(images):
        raise UserError(
            f"--labelled_images={count}: only {len(images)} training images have a label map"
        )
    generator = np.random.default_rng([config.resolved_sup_seed, 0x5E6])
    order = generator.permutation(len(images))[: None if count < 0 else count]
    return {images[place] for place in order}


def _read(source, files, used, maps, classes, config):
    images, _ = cache.read(source, cache_dir=config.cache_dir)
    labelled = np.array([place for place, file in enumerate(files) if file in used], np.int64)
    if not len(labelled):
        raise UserError(f"{source.name}: no labelled image can be read")
    chosen = [files[place] for place in labelled]
    paths = [maps[file] for file in chosen]
    places, _ = cache.read(
        label_maps.source(
            f"{source.name}-labels", paths, chosen, source.shape[1:], config.new_size, classes
        ),
        cache_dir=config.cache_dir,
    )
    return LabelledImages(images, labelled, places[..., 0])
