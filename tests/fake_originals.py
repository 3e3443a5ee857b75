"""What the tests of builders share: tiny fake originals, and what loading them gives."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from semisup.data.datasets import load_dataset
from semisup.errors import UserError


def make_manual_dir(data_dir):
    """The folder below a data_dir that a user puts originals into."""
    folder = data_dir / "downloads" / "manual"
    folder.mkdir(parents=True)
    return folder


def cut_network(monkeypatch):
    """Lets all downloads of TFDS fail at once."""

    def refuse(self, urls):
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(tfds.download.DownloadManager, "download", refuse)
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", refuse)


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image, format="png"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format)
    return file.getvalue()


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def examples(name, data_dir, split):
    """All examples of a prepared set, by id."""
    dataset = tfds.load(name, data_dir=data_dir, split=split, download=False)
    return {example["id"].decode(): example for example in tfds.as_numpy(dataset)}


def failure(name, data_dir):
    """What loading the set says, which is one line, the same from TFDS and from us."""
    with pytest.raises(UserError) as ours:
        load_dataset(name, data_dir=data_dir)
    with pytest.raises(UserError) as theirs:
        tfds.load(name, data_dir=data_dir)
    assert str(ours.value) == str(theirs.value)
    assert "\n" not in str(ours.value)
    return str(ours.value)
