"""Omniglot: 1,623 handwritten characters of 50 alphabets (Lake et al., Science 2015)."""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages

_FOLDER = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
_SIZE = 28
_DRAWERS = 20
_TRAIN_DRAWERS = 15
_DRAWING = re.compile(r"[^/]+/(?P<name>[^/]+/character\d\d)/(?P<id>(\d{4})_(\d\d))\.png")


class OmniglotCharacters(LabelledImages):
    """Every character of both published parts; drawers 1 to 15 train, 16 to 20 test.

    White strokes on black, 28 x 28 pixels. A character's class is its official number less 1, and
    its name that of the alphabet and its place in it.
    """

    SHAPE = (_SIZE, _SIZE, 1)
    ALPHABETS: Mapping[str, int] = {
        "Arcadian": 26,
        "Armenian": 41,
        "Asomtavruli_(Georgian)": 40,
        "Balinese": 24,
        "Bengali": 46,
        "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
        "Braille": 26,
        "Cyrillic": 33,
        "Early_Aramaic": 22,
        "Syriac_(Estrangelo)": 23,
        "Anglo-Saxon_Futhorc": 29,
        "Futurama": 26,
        "Grantha": 43,
        "Greek": 24,
        "Gujarati": 48,
        "Hebrew": 22,
        "Japanese_(hiragana)": 52,
        "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16,
        "Malay_(Jawi_-_Arabic)": 40,
        "Japanese_(katakana)": 47,
        "Korean": 40,
        "Latin": 26,
        "Alphabet_of_the_Magi": 20,
        "Mkhedruli_(Georgian)": 41,
        "Burmese_(Myanmar)": 34,
        "N_Ko": 33,
        "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14,
        "Sanskrit": 42,
        "Tagalog": 17,
        "Tifinagh": 55,
        "Angelic": 20,
        "Atemayar_Qelisayer": 26,
        "Atlantean": 26,
        "Aurek-Besh": 26,
        "Avesta": 26,
        "Ge_ez": 26,
        "Glagolitic": 45,
        "Gurmukhi": 45,
        "Kannada": 41,
        "Keble": 26,
        "Malayalam": 47,
        "Manipuri": 40,
        "Mongolian": 30,
        "Old_Church_Slavonic_(Cyrillic)": 45,
        "Oriya": 46,
        "Syriac_(Serto)": 23,
        "Sylheti": 28,
        "Tengwar": 25,
        "Tibetan": 42,
        "ULOG": 26,
    }
    """The characters of each alphabet, in the order of the official numbers."""
    CLASSES: Sequence[str] = tuple(
        f"{alphabet}/character{place:02d}"
        for alphabet, count in ALPHABETS.items()
        for place in range(1, count + 1)
    )
    DESCRIPTION = "Omniglot: 1,623 handwritten characters by 20 drawers each, 28x28."
    HOMEPAGE = "https://github.com/brendenlake/omniglot"
    ARCHIVES: Sequence[originals.Original] = (
        originals.Original(
            "images_background.zip",
            f"{_FOLDER}/images_background.zip",
            md5="68d2efa1b9178cc56df9314c21c6e718",
        ),
        originals.Original(
            "images_evaluation.zip",
            f"{_FOLDER}/images_evaluation.zip",
            md5="6b91aef0f799c5bb55b94e3f2daec811",
        ),
    )
    COUNTS: Mapping[str, int] = {"images_background.zip": 19_280, "images_evaluation.zip": 13_180}

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        paths = originals.fetch(dl_manager, self.name, self.ARCHIVES)
        return {
            "train": self._generate_examples(paths, range(1, _TRAIN_DRAWERS + 1)),
            "test": self._generate_examples(paths, range(_TRAIN_DRAWERS + 1, _DRAWERS + 1)),
        }

    def _generate_examples(
        self, paths: Sequence[Path], drawers: range
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for original, path in zip(self.ARCHIVES, paths, strict=True):
            with originals.reading(path), zipfile.ZipFile(path) as archive:
                drawings = list(filter(None, map(_DRAWING.fullmatch, archive.namelist())))
                expected = self.COUNTS[original.name]
                originals.check_count(path, "drawings", len(drawings), expected)
                for drawing in drawings:
                    label, drawer = int(drawing[3]) - 1, int(drawing[4])
                    if drawing["name"] != self.CLASSES[label]:
                        raise ValueError(f"{drawing[0]} is not of {self.CLASSES[label]}")
                    if drawer in drawers:
                        image = originals.decode(
                            archive.read(drawing[0]), drawing[0], image_size=_SIZE
                        )
                        key = drawing["id"]
                        yield key, {"id": key, "image": 255 - image[..., :1], "label": label}
