"""FRGC, face images of 20 people, as they are used to compare methods of deep clustering.

The selection is that of Yang et al., "Joint Unsupervised Learning of Deep Representations and Image
Clusters", CVPR 2016 (JULE), out of the Face Recognition Grand Challenge (Phillips et al., CVPR
2005). FRGC is licensed, so that its images can only be obtained by hand.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semisup.data import image_files
from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages

SUBJECTS = 20

_FOLDER = "frgc"
_SIZE = 32


class Frgc(LabelledImages):
    """The 2,462 faces of 20 subjects, from the file of JULE or from a folder for each subject.

    Labels follow the sorted numbers of the file, or the sorted names of the folders. `frgc` in the
    manual folder holds either; the file counts if there are both.
    """

    SHAPE = (_SIZE, _SIZE, 3)
    CLASSES = SUBJECTS
    DESCRIPTION = "FRGC, faces of the 20 subjects that JULE selected, cropped, 32x32."
    HOMEPAGE = "https://www.nist.gov/programs-projects/face-recognition-grand-challenge-frgc"
    FILE = originals.Original(
        f"{_FOLDER}/data4torch.h5",
        "datasets/FRGC of JULE's release, https://github.com/jwyang/JULE.torch",
        downloadable=False,
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Put {FILE.name} (from {FILE.source}) there, or the face images of each subject into a "
        f"folder of its own, {_FOLDER}/SUBJECT."
    )
    COUNT = 2_462

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        manual = originals.manual_dir(dl_manager)
        path = manual / _FOLDER
        if (manual / self.FILE.name).is_file() or not _face_files(path):
            hint = f", or the face images of each subject into a folder {path}/SUBJECT"
            (path,) = originals.fetch(dl_manager, self.name, [self.FILE], hint=hint)
        return {"train": self._generate_examples(path)}

    def _generate_examples(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        with originals.reading(path):
            ids, subjects, images = (_of_folder if path.is_dir() else _of_file)(path)
            originals.check_count(path, "face images", len(ids), self.COUNT)
            originals.check_count(path, "labels", len(subjects), self.COUNT)
            names, labels = np.unique(subjects, return_inverse=True)
            originals.check_count(path, "subjects", len(names), SUBJECTS)
            for key, image, label in zip(ids, images, labels, strict=True):
                yield key, {"id": key, "image": image, "label": int(label)}


def _of_file(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return ids, subjects and images of JULE's file."""
    # Not at the top: other data sets do not need it.
    import h5py

    with h5py.File(path) as file:
        images, subjects = (file[name][()] for name in sorted(file))
    if images.shape[1:] != (3, _SIZE, _SIZE):
        raise ValueError(f"its images have shape {images.shape[1:]} instead of (3, 32, 32)")
    if not (images.min() >= 0 and 1 < images.max() <= 255):
        raise ValueError(f"its values are {images.min()} to {images.max()} instead of 0 to 255")
    # Columns come before rows, as MATLAB wrote them: else faces would lie on their side.
    images = np.rint(images).astype(np.uint8).transpose(0, 3, 2, 1)
    ids = [f"train_{i:04d}" for i in range(len(images))]
    return ids, subjects.reshape(-1), np.ascontiguousarray(images)


def _of_folder(path: Path) -> tuple[list[str], Sequence[str], Iterable[np.ndarray]]:
    """Return ids, subjects and images, decoded one by one, of a folder of folders."""
    files = _face_files(path)
    ids = [file.relative_to(path).as_posix() for file in files]
    return ids, [file.parent.name for file in files], map(_decode, files)


def _face_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.glob("*/*")
        if image_files.is_image(file.name) and not file.parent.name.startswith(".")
    )


def _decode(file: Path) -> np.ndarray:
    with originals.reading(file):
        return originals.decode(file.read_bytes(), file.name, image_size=_SIZE)
