"""Synthetic Signs as they were published: pictograms of traffic signs put into photographs.

Moiseev, Konev, Chigorin and Konushin, "Evaluation of Traffic Sign Recognition Methods Trained on
Synthetically Generated Data", ACIVS 2013. Their site is gone; `synthetic_signs_generated` renders
images of the same kind.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages
from semisup.data.rendering import pictograms

_SIZE = 40
_LABELS = "train_labelling.txt"


class SyntheticSigns(LabelledImages):
    """The published Synthetic Signs, from `synthetic_data.zip`."""

    SHAPE = (_SIZE, _SIZE, 3)
    CLASSES = pictograms.CLASS_NAMES
    DESCRIPTION = "Synthetic Signs: rendered traffic signs, the 43 classes of GTSRB."
    ARCHIVE = originals.Original(
        "synthetic_data.zip",
        "whoever has a copy, since its site graphics.cs.msu.ru is gone",
        downloadable=False,
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {ARCHIVE.name} (from {ARCHIVE.source}) there."
    COUNT = 100_000

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        hint = "; or use synthetic_signs_generated, which renders such signs"
        (path,) = originals.fetch(dl_manager, self.name, [self.ARCHIVE], hint=hint)
        return {"train": self._generate_examples(path)}

    def _generate_examples(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        with originals.reading(path), zipfile.ZipFile(path) as archive:
            folder, labels = _labels(archive)
            originals.check_count(path, "labelled images", len(labels), self.COUNT)
            for name, label in labels.items():
                array = originals.decode(archive.read(folder + name), name)
                if array.shape != (_SIZE, _SIZE, 3) or label >= len(pictograms.CLASS_NAMES):
                    raise ValueError(f"{name} has shape {array.shape} and class {label}")
                number = str(int(Path(name).stem))
                yield number, {"id": number, "image": array, "label": label}


def _labels(archive: zipfile.ZipFile) -> tuple[str, dict[str, int]]:
    """Return the folder of the list of labels, and the classes by image file relative to it."""
    for name in archive.namelist():
        folder, _, file = name.rpartition("/")
        if file == _LABELS:
            # Of each line, the first two words count.
            rows = [line.split() for line in archive.read(name).decode().splitlines()]
            return f"{folder}/" if folder else "", {row[0]: int(row[1]) for row in rows if row}
    raise ValueError(f"there is no {_LABELS} in it")
