"""Features of the pixels of images from a frozen network: computed once, and kept in a file.

Those of a whole array of images are one file, which is read row by row: they may be larger than
memory. The file is found again by the network and the images' content.
"""

import hashlib
import logging
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from segmentation.pixel_networks import grid_of
from semisup.data.cache import open_mapped
from semisup.errors import UserError
from semisup.files import replacing
from semisup.run import progress
from semisup.run.features import digest_of

_FORMAT = 1
"""Part of every file's name: raised whenever the same images get other features."""

_BATCH = 8
_GREATEST = np.finfo(np.float16).max

_logger = logging.getLogger(__name__)


class PixelFeatures:
    """The features of all pixels of images, as float16, which halves the file.

    Args:
        backbone: model from prepared images to the features (n * pixels, f) of their pixels.
        prepare: function from uint8 images to what the backbone takes.
        folder: folder of the files.
        progress: whether to show a progress bar.
        **unused: what the features of whole images take besides: there are no augmented views.
    """

    def __init__(
        self,
        backbone: keras.Model,
        prepare: Callable = lambda images: ops.cast(images, "float32"),
        folder: str | os.PathLike = ".",
        progress: bool = False,
        **unused,
    ):
        del unused
        self._backbone = backbone
        self._prepare = prepare
        self._folder = Path(folder).expanduser()
        self._progress = progress

    def views(self, images: np.ndarray) -> np.ndarray:
        """Return the features of the pixels of images.

        Args:
            images: (n, height, width, channels) uint8, in memory or memory-mapped.

        Returns:
            (n * pixels, f) float16, memory-mapped.

        Raises:
            UserError: if the file cannot be written or read.
        """
        digest = hashlib.blake2b(repr(images.shape).encode(), digest_size=16)
        for image in images:
            digest.update(np.ascontiguousarray(image))
        name = f"pixels-{_FORMAT}-{digest_of(self._backbone)}-{digest.hexdigest()}.npy"
        path = self._folder / name
        try:
            if not path.exists():
                self._write(path, images)
            features, _ = open_mapped(path)
            if (features.shape, features.dtype) != (self._shape(images), np.float16):
                raise ValueError("it is damaged")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"the features of pixels cannot be kept in {path}: {reason}; remove it, or let "
                "--cache_dir name another folder"
            ) from None
        return features

    def _shape(self, images):
        return len(images) * math.prod(grid_of(images.shape[1:])), self._backbone.output_shape[-1]

    def _write(self, path, images):
        count = len(images)
        rows, columns = grid_of(images.shape[1:])
        needed = 2 * math.prod(self._shape(images))
        path.parent.mkdir(parents=True, exist_ok=True)
        replacing.remove_temporary(path.parent)
        if shutil.disk_usage(path.parent).free < needed:
            raise UserError(
                f"the features of all pixels need {needed / 2**30:,.1f} GiB, more than there are "
                f"in {path.parent}: let --cache_dir name another folder, give a smaller "
                "--new_size, or --trainable=all, which keeps none"
            )
        _logger.info("Computing the features of all pixels of %d images, once.", count)
        show = progress.image_bar(count, self._progress)
        header = {"descr": "<f2", "fortran_order": False, "shape": self._shape(images)}
        with replacing.replacing(path) as temporary, open(temporary, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, count, _BATCH):
                # Of one size, so that it is compiled once.
                chosen = np.minimum(np.arange(start, start + _BATCH), count - 1)
                computed = self._backbone.predict_on_batch(self._prepare(images[chosen]))
                kept = np.asarray(computed)[: min(_BATCH, count - start) * rows * columns]
                file.write(np.clip(kept, -_GREATEST, _GREATEST).astype("<f2"))
                show(min(start + _BATCH, count))
