"""Features of images from a frozen network: computed once, and found again by every later run.

The cache has a folder for each network and kind of view, with files that are never changed: each
holds the features that one run added, by the digests of the images' pixels. So it does not matter
which data set, split or class an image is in, and new images cost no more than themselves.
"""

import collections
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from semisup.architectures import transfer
from semisup.data import cache
from semisup.errors import UserError
from semisup.files import replacing
from semisup.files.archives import read_archive
from semisup.run import progress

_logger = logging.getLogger(__name__)

_FORMAT = 1
"""Part of every folder's name: raised whenever the same images get other features."""

_BATCH = 32
_CENTRED_BATCHES = 100
_DIGEST_BYTES = 16
_UNESSENTIAL = {
    "name",
    "registered_name",
    "module",
    "build_config",
    "compile_config",
    "inbound_nodes",
    "input_layers",
    "output_layers",
    "trainable",
}
"""What a configuration says beside what is computed."""


def of_run(task, config, model, keep=True):
    """Return the features that a run is trained and evaluated on, or None if it takes images.

    Args:
        task: the run's `Task`.
        config: its configuration.
        model: its `EmbeddingClassifier`, with the weights of the run.
        keep: see `Features`.

    Returns:
        What the task's `features_class` makes, or None unless the head alone is trained.
    """
    parts = transfer.parts(model.network) if config.trainable == transfer.HEAD else None
    if parts is None:
        return None
    return task.features_class()(
        parts.backbone,
        prepare=model.prepare,
        folder=Path(config.cache_dir or cache.default_cache_dir()) / "features",
        views=config.feature_views,
        # Views are the same for all seeds, so that they are computed once.
        augmentation=task.augmentation(config, seed=0) if config.feature_views else None,
        progress=config.progress,
        keep=keep,
    )


def centre(model, batches):
    """Let the head of a model centre the features of the images that it is trained on.

    Args:
        model: an `EmbeddingClassifier`; without a head that centres, it stays as it is.
        batches: its training batches, a `tf.data.Dataset`, of which the first count.
    """

    def examples():
        for batch in batches.take(_CENTRED_BATCHES).as_numpy_iterator():
            yield from model.named_images(batch).values()

    transfer.centre(model.network, examples())


class Features:
    """The features of images, and of augmented views of them.

    Args:
        backbone: model from prepared images to features (n, f).
        prepare: function from uint8 images to what the backbone takes.
        folder: folder of the cache.
        views: augmented views of each image, beside the image as it is.
        augmentation: layer that makes views of prepared images, or None. What it draws is set by
            the image and the number of the view alone.
        progress: whether to show a progress bar where many features are computed.
        keep: whether what is computed is kept in the cache, and said; else it is for its caller
            alone, a prediction say, which may see any number of images.
    """

    def __init__(
        self,
        backbone: keras.Model,
        prepare: Callable = lambda images: ops.cast(images, "float32"),
        folder: str | os.PathLike = ".",
        views: int = 0,
        augmentation: keras.layers.Layer | None = None,
        progress: bool = False,
        keep: bool = True,
    ):
        self._backbone = backbone
        self._prepare = prepare
        self._augmenter = None if augmentation is None else _Augmenter(augmentation)
        self._progress = progress and keep
        self._keep = keep
        network = digest_of(backbone)
        names = ["plain"]
        if views:
            pipeline = digest_of(augmentation)
            names += [f"{pipeline}-{view}" for view in range(1, views + 1)]
        self._stores = [
            _Store(Path(folder) / f"{network}-{name}", backbone.output_shape[-1]) for name in names
        ]
        # Arrays that were asked for, so that evaluations need not look at the pixels again.
        self._known = []

    def plain(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images as they are.

        Args:
            images: (n, height, width, channels) uint8, in memory or memory-mapped.

        Returns:
            (n, f) float32.

        Raises:
            UserError: if the cache cannot be written.
        """
        return self._looked_up(images, self._stores[:1])[:, 0]

    def views(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images, and of all views of each.

        Args:
            images: see `plain`.

        Returns:
            (n, 1 + views, f) float32, that of the image as it is first; (n, f) without views.

        Raises:
            UserError: if the cache cannot be written.
        """
        if len(self._stores) == 1:
            return self.plain(images)
        return self._looked_up(images, self._stores)

    def _looked_up(self, images, stores):
        for known, count, features in self._known:
            if known is images and count == len(stores):
                return features
        digests = [_digest(image) for image in images]
        features = np.stack(
            [self._view(images, digests, view, store) for view, store in enumerate(stores)], axis=1
        )
        if self._keep:
            self._known = [*self._known[-7:], (images, len(stores), features)]
        return features

    def _view(self, images, digests, view, store):
        store.open()
        missing = {}
        for place, digest in enumerate(digests):
            if digest not in store:
                missing.setdefault(digest, place)
        if not missing:
            return store.rows(digests)
        computed = self._compute(images, missing, view)
        if self._keep:
            store.add(list(missing), computed)
            return store.rows(digests)
        return store.rows(digests, dict(zip(missing, computed, strict=True)))

    def _compute(self, images, places, view):
        """Compute the features (k, f) of a view of images, whose digests and places are given."""
        digests, places = list(places), list(places.values())
        count = len(self._stores) - 1
        what = "images" if view == 0 else f"augmented images, view {view} of {count}"
        if self._keep:
            _logger.info(
                "Computing the features of %d %s; later runs find them.", len(places), what
            )
        show = progress.image_bar(len(places), self._progress)
        computed = []
        for start in range(0, len(places), _BATCH):
            chosen = places[start : start + _BATCH]
            # Of one size, so that it is compiled once, and rounds alike.
            padded = chosen + chosen[:1] * (_BATCH - len(chosen))
            prepared = self._prepare(np.stack([images[place] for place in padded]))
            if view:
                own = digests[start : start + _BATCH]
                prepared = self._augmented(prepared, own + own[:1] * (_BATCH - len(own)), view)
            features = self._backbone.predict_on_batch(prepared)
            computed.append(np.asarray(features, np.float32)[: len(chosen)])
            show(start + len(chosen))
        return np.concatenate(computed)

    def _augmented(self, prepared, digests, view):
        """Augment images, each by random numbers of its own."""
        changed = []
        for number, digest in enumerate(digests):
            seed = np.random.SeedSequence([view, *digest]).generate_state(1)[0] >> 1
            changed.append(self._augmenter.change(prepared[number : number + 1], seed))
        return np.concatenate(changed)


class _Augmenter(keras.Model):
    """An augmentation as a compiled function, of which each call draws anew."""

    def __init__(self, augmentation):
        super().__init__(name="augmenter")
        self.augmentation = augmentation
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, images):
        return self.augmentation(images, training=True)

    def change(self, images, seed):
        """Augment a batch by random numbers that depend on a seed alone."""
        for place, variable in enumerate(self.augmentation.variables):
            # The state of a seed generator: a seed, and a counter.
            variable.assign(np.array([seed, place], variable.dtype))
        return self.predict_on_batch(images)


class _Store:
    """Features of one view, by the digests of images: files in a folder."""

    def __init__(self, folder, width):
        self.folder = folder
        self.width = width
        self._rows = {}
        self._read = set()

    def __contains__(self, digest):
        return digest in self._rows

    def open(self):
        """Read the files that are new."""
        for path in sorted(self.folder.glob("[0-9a-f]*.npz")):
            if path.name not in self._read:
                self._read.add(path.name)
                self._take(*self._content(path))

    def add(self, digests, features):
        """Keep features (k, f), in a file that is there as a whole or not at all.

        Raises:
            UserError: if it cannot be written.
        """
        name = f"{secrets.token_hex(8)}.npz"
        array = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST_BYTES)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replacing.remove_temporary(self.folder)
            with replacing.replacing(self.folder / name) as temporary:
                np.savez(temporary, digests=array, features=features)
        except OSError as error:
            raise UserError(
                f"features cannot be kept in {self.folder}: {error.strerror}; --cache_dir names "
                "another folder"
            ) from None
        self._read.add(name)
        self._take(array, features)

    def rows(self, digests, others=None):
        """Return the features (n, f) of images; `others` has those that are not kept here."""
        known = collections.ChainMap(self._rows, others or {})
        rows = np.empty((len(digests), self.width), np.float32)
        for place, digest in enumerate(digests):
            rows[place] = known[digest]
        return rows

    def _take(self, digests, features):
        for digest, row in zip(digests, features, strict=True):
            self._rows.setdefault(digest.tobytes(), row)

    def _content(self, path):
        try:
            archive = read_archive(path)
            digests, features = archive["digests"], archive["features"]
            shapes = (len(digests), _DIGEST_BYTES), (len(digests), self.width)
            right = (digests.shape, features.shape) == shapes
            if right and digests.dtype == np.uint8 and features.dtype == np.float32:
                return digests, features
        except Exception as error:
            # Damaged headers make NumPy raise almost anything.
            _logger.debug("%s: %s", path, error)
        _logger.warning("%s is damaged: its features are computed again", path)
        return (), ()


def unit_lengths(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (..., d), features or embeddings, to length 1; those of length 0 stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def centred(views: np.ndarray) -> np.ndarray:
    """Bring features to unit length, and move the mean of the plain images to 0.

    Args:
        views: (1 + views, n, d) float features, those of the plain images first.

    Returns:
        Features of the same shape, times 20, so that a linear layer learns at usual rates and the
        regularisation of scikit-learn's classifiers suits a few labels.
    """
    units = unit_lengths(views)
    return 20 * (units - units[0].mean(axis=0))


def digest_of(network: keras.Model) -> str:
    """Return a digest of what a network computes: its layers, whatever their names, and weights.

    Args:
        network: a built Keras model.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    config = keras.saving.serialize_keras_object(network)
    digest.update(json.dumps([_FORMAT, _anonymous(config)], sort_keys=True, default=str).encode())
    for variable in network.variables:
        digest.update(np.ascontiguousarray(ops.convert_to_numpy(variable)).tobytes())
    return digest.hexdigest()


def _anonymous(config):
    """Return a configuration without what says nothing of the computation, such as names."""
    if isinstance(config, dict):
        kept = {name: part for name, part in config.items() if name not in _UNESSENTIAL}
        return {name: _anonymous(part) for name, part in kept.items()}
    if isinstance(config, Sequence) and not isinstance(config, str):
        return [_anonymous(part) for part in config]
    return config


def _digest(image):
    shape = repr(image.shape).encode()
    return hashlib.blake2b(
        np.ascontiguousarray(image).tobytes() + shape, digest_size=_DIGEST_BYTES
    ).digest()
