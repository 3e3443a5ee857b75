"""MNIST-M as it was published: MNIST digits blended with patches of photographs.

Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016. The archive cannot be
downloaded by a program; `mnist_m_generated` makes images of the same kind.
"""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages


class MnistM(LabelledImages):
    """The published MNIST-M, from `mnist_m.tar.gz`."""

    SHAPE = (32, 32, 3)
    CLASSES = 10
    DESCRIPTION = "MNIST-M, MNIST digits blended with patches of BSDS500 photographs."
    HOMEPAGE = "http://yaroslav.ganin.net/"
    ARCHIVE = originals.Original(
        "mnist_m.tar.gz",
        f"{HOMEPAGE}, the unpacked version of MNIST-M",
        md5="859df31c91afe82e80e5012ba928f279",
        downloadable=False,
    )
    COUNTS: Mapping[str, int] = {"train": 59_001, "test": 9_001}

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        hint = "; or use mnist_m_generated, which needs no archive of MNIST-M"
        (path,) = originals.fetch(dl_manager, self.name, [self.ARCHIVE], hint=hint)
        with originals.reading(path):
            files = _unpack(path)
        return {split: self._generate_examples(path, files, split) for split in self.COUNTS}

    def _generate_examples(
        self, path: Path, files: Mapping[str, bytes], split: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        with originals.reading(path):
            lines = files[f"mnist_m_{split}_labels.txt"].decode().splitlines()
            originals.check_count(path, f"{split} labels", len(lines), self.COUNTS[split])
            for line in lines:
                name, label = line.split()
                image = originals.decode(files[f"mnist_m_{split}/{name}"], name)
                stem = PurePosixPath(name).stem
                yield stem, {"id": stem, "image": image, "label": int(label)}


def _unpack(path: Path) -> dict[str, bytes]:
    """Return all files by name, without the folder `mnist_m`; about 150 MB."""
    with tarfile.open(path) as archive:
        return {
            member.name.removeprefix("./").removeprefix("mnist_m/"): archive.extractfile(
                member
            ).read()
            for member in archive
            if member.isfile()
        }
