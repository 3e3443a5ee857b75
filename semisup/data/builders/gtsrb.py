"""The German Traffic Sign Recognition Benchmark (Stallkamp et al., Neural Networks 2012)."""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages
from semisup.data.rendering import pictograms

_FOLDER = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"
_SIZE = 40


class Gtsrb(LabelledImages):
    """Whole images, resized to 40 x 40 pixels; there is a border of some 10 % around the signs."""

    SHAPE = (_SIZE, _SIZE, 3)
    CLASSES = pictograms.CLASS_NAMES
    DESCRIPTION = "German Traffic Sign Recognition Benchmark, whole images, 40x40."
    HOMEPAGE = "https://benchmark.ini.rub.de/gtsrb_news.html"
    CROPPED = False
    ARCHIVES: Sequence[originals.Original] = tuple(
        originals.Original(name, f"{_FOLDER}/{name}", md5)
        for name, md5 in (
            ("GTSRB_Final_Training_Images.zip", "f33fd80ac59bff73c82d25ab499e03a3"),
            ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
            ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
        )
    )
    COUNTS: Mapping[str, int] = {"train": 39_209, "test": 12_630}

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        train, test, truth = originals.fetch(dl_manager, self.name, self.ARCHIVES)
        return {
            "train": self._generate_examples("train", train, train),
            "test": self._generate_examples("test", truth, test, "GTSRB/Final_Test/Images"),
        }

    def _generate_examples(
        self, split: str, tables: Path, images: Path, folder: str | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        with originals.reading(tables):
            rows = list(_rows(tables))
            originals.check_count(tables, f"{split} images", len(rows), self.COUNTS[split])
        with originals.reading(images), zipfile.ZipFile(images) as archive:
            for table_folder, row in rows:
                name = f"{folder or table_folder}/{row['Filename']}"
                box = None
                if self.CROPPED:
                    box = tuple(int(row[f"Roi.{edge}"]) for edge in ("X1", "Y1", "X2", "Y2"))
                image = originals.decode(archive.read(name), name, box=box, image_size=_SIZE)
                key = name.removeprefix("GTSRB/").removesuffix(".ppm")
                yield key, {"id": key, "image": image, "label": int(row["ClassId"])}


class GtsrbCropped(Gtsrb):
    """The signs alone, cropped as annotated and resized to 40 x 40 pixels.

    The target domain of the thesis' chapter 4.
    """

    DESCRIPTION = "German Traffic Sign Recognition Benchmark, cropped to the signs, 40x40."
    CROPPED = True


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of all tables in an archive, each with the folder of its table."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".csv"):
                with io.TextIOWrapper(archive.open(name), "utf-8") as table:
                    for row in csv.DictReader(table, delimiter=";"):
                        yield name.rpartition("/")[0], row
