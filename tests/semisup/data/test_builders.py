"""Tests of the builders that read published data sets, on tiny fake originals."""

import bz2
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from fake_originals import (
    cut_network,
    encoded,
    examples,
    failure,
    make_manual_dir,
    random_images,
    write_tar,
    write_zip,
)

from semisup.data import builders
from semisup.data.builders import gtsrb
from semisup.data.datasets import load_dataset
from semisup.data.rendering import pictograms

NAMES = (
    "mnist_m",
    "mnist_m_generated",
    "gtsrb",
    "gtsrb_cropped",
    "omniglot_characters",
    "usps",
)


@pytest.fixture
def manual(tmp_path):
    return make_manual_dir(tmp_path)


@pytest.fixture
def no_network(monkeypatch):
    cut_network(monkeypatch)


def without_md5(original):
    return type(original)(original.name, original.source, None, original.downloadable)


# Registration


def test_importing_the_builders_registers_them_without_tensorflow_or_keras():
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
import semisup.data.builders
import tensorflow_datasets as tfds
print([name for name in {NAMES} if name not in tfds.core.registered._DATASET_REGISTRY])
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""
    output = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert output.split() == ["[]", "[]"]


@pytest.mark.parametrize(
    ("name", "shape", "classes", "counts"),
    [
        ("mnist_m", (32, 32, 3), 10, {"train": 12_000, "test": 5_000}),
        ("gtsrb", (40, 40, 3), 43, {"train": 12_001, "test": 6_302}),
        ("omniglot_characters", (28, 28, 1), 1623, {"train": 24_345, "test": 8_115}),
        ("usps", (16, 16, 1), 10, {"train": 7_291, "test": 2_007}),
    ],
)
def test_the_registered_builder_reads_a_set_that_another_prepared(
    data_dir, name, shape, classes, counts
):
    dataset, info = tfds.load(
        name, data_dir=data_dir, download=False, with_info=True, split="test[:3]"
    )
    assert {split: part.num_examples for split, part in info.splits.items()} == counts
    assert info.features["label"].num_classes == classes
    assert [example["image"].shape for example in tfds.as_numpy(dataset)] == [shape] * 3
    builder = tfds.builder(name, data_dir=data_dir)
    assert type(builder).__module__ == f"semisup.data.builders.{name}"
    assert builder.is_prepared()


def test_a_prepared_set_with_a_builder_loads_by_name(data_dir):
    data = load_dataset("usps", data_dir=data_dir)
    np.testing.assert_array_equal(
        np.bincount(data.splits["test"].labels), [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]
    )
    assert data.splits["train"].images.shape == (7_291, 16, 16, 1)
    assert data.class_names == tuple("0123456789")


# MNIST-M as published


@pytest.fixture
def mnist_m_files(monkeypatch):
    """Content of an archive of 3 + 2 images, which the builder takes for the whole."""
    monkeypatch.setattr(builders.MnistM, "COUNTS", {"train": 3, "test": 2})
    monkeypatch.setattr(builders.MnistM, "ARCHIVE", without_md5(builders.MnistM.ARCHIVE))
    files = {}
    for split, labels in {"train": [5, 0, 9], "test": [1, 7]}.items():
        for i in range(len(labels)):
            image = random_images(32, 32, 3, seed=i)
            files[f"mnist_m/mnist_m_{split}/{i:08d}.png"] = encoded(image)
        lines = "".join(f"{i:08d}.png {label}\n" for i, label in enumerate(labels))
        files[f"mnist_m/mnist_m_{split}_labels.txt"] = lines.encode()
    return files


def test_mnist_m_has_the_images_and_labels_of_the_archive(tmp_path, manual, mnist_m_files):
    write_tar(manual / "mnist_m.tar.gz", mnist_m_files)
    data = load_dataset("mnist_m", data_dir=tmp_path)
    assert {len(split.labels) for split in data.splits.values()} == {3, 2}
    train = examples("mnist_m", tmp_path, "train")
    assert {key: example["label"] for key, example in train.items()} == {
        "00000000": 5,
        "00000001": 0,
        "00000002": 9,
    }
    for i in range(3):
        image = random_images(32, 32, 3, seed=i)
        np.testing.assert_array_equal(train[f"{i:08d}"]["image"], image)
    test = examples("mnist_m", tmp_path, "test")
    assert {key: example["label"] for key, example in test.items()} == {
        "00000000": 1,
        "00000001": 7,
    }


def test_a_missing_mnist_m_says_what_to_put_where(tmp_path, no_network):
    message = failure("mnist_m", tmp_path)
    for part in ("mnist_m.tar.gz", "http://yaroslav.ganin.net", "mnist_m_generated"):
        assert part in message
    assert f"into {tmp_path / 'downloads' / 'manual'}" in message


def test_an_archive_with_another_checksum_is_refused(tmp_path, manual):
    write_tar(manual / "mnist_m.tar.gz", {"mnist_m/readme": b""})
    message = failure("mnist_m", tmp_path)
    assert f"{manual / 'mnist_m.tar.gz'} is damaged" in message
    assert "MD5" in message


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("mnist_m_train_labels.txt", b"00000000.png 5\n", "1 train labels instead of 3"),
        ("mnist_m_test/00000001.png", b"no image", "00000001.png is no image"),
        ("mnist_m_train_labels.txt", b"x.png 5\n" * 3, "x.png"),
    ],
)
def test_an_archive_with_other_content_is_refused(
    tmp_path, manual, mnist_m_files, name, content, complaint
):
    write_tar(manual / "mnist_m.tar.gz", mnist_m_files | {f"mnist_m/{name}": content})
    message = failure("mnist_m", tmp_path)
    assert f"{manual / 'mnist_m.tar.gz'} is damaged" in message
    assert complaint in message


def test_a_truncated_archive_is_refused(tmp_path, manual, mnist_m_files):
    path = manual / "mnist_m.tar.gz"
    write_tar(path, mnist_m_files)
    path.write_bytes(path.read_bytes()[:-2000])
    assert f"{path} is damaged" in failure("mnist_m", tmp_path)


# USPS


@pytest.fixture
def tiny_usps(monkeypatch):
    files = {split: without_md5(file) for split, file in builders.Usps.FILES.items()}
    monkeypatch.setattr(builders.Usps, "FILES", files)
    monkeypatch.setattr(builders.Usps, "COUNTS", {"train": 2, "test": 1})


def test_usps_has_the_digits_of_the_text_files_rounded_to_8_bits(tmp_path, manual, tiny_usps):
    black = " ".join(f"{i}:-1" for i in range(3, 257))
    first = f"8 1:1 2:-0.5 {black} \n"
    second = f"10 2:0.998 {black} \n"
    (manual / "usps.bz2").write_bytes(bz2.compress((first + second).encode()))
    (manual / "usps.t.bz2").write_bytes(bz2.compress(f"1 1:-0.996 2:0 {black} \n".encode()))
    data = load_dataset("usps", data_dir=tmp_path)
    assert data.splits["train"].images.shape == (2, 16, 16, 1)
    train = examples("usps", tmp_path, "train")
    assert sorted(train) == ["train_0000", "train_0001"]
    # 128 is what a value that is left out, 0, lies nearest to.
    expected = {"train_0000": ([255, 64], 7), "train_0001": ([128, 255], 9)}
    for key, (pixels, label) in expected.items():
        np.testing.assert_array_equal(train[key]["image"][0, :2, 0], pixels)
        assert not train[key]["image"].ravel()[2:].any()
        assert train[key]["label"] == label
    test = examples("usps", tmp_path, "test")["test_0000"]
    np.testing.assert_array_equal(test["image"][0, :3, 0], [1, 128, 0])
    assert test["label"] == 0


@pytest.mark.parametrize(
    "content",
    [b"not bzip2", bz2.compress(b"1 1:0\n"), bz2.compress(b"1 1:0\n1 400:0\n")],
    ids=["other format", "too few", "too large an index"],
)
def test_damaged_usps_is_named(tmp_path, manual, tiny_usps, content):
    (manual / "usps.bz2").write_bytes(content)
    (manual / "usps.t.bz2").write_bytes(bz2.compress(b"1 1:0\n"))
    assert f"{manual / 'usps.bz2'} is damaged" in failure("usps", tmp_path)


def test_usps_that_cannot_be_downloaded_says_what_to_put_where(tmp_path, manual, no_network):
    (manual / "usps.bz2").write_bytes(b"there")
    message = failure("usps", tmp_path)
    assert "ConnectionError: no network" in message
    assert "put usps.t.bz2 (from https://www.csie.ntu.edu.tw/" in message
    assert str(manual) in message
    assert "usps.bz2" not in message


# GTSRB

SIGNS = {
    "Final_Training/Images/00000/00000_00000": ((29, 30), (5, 6, 24, 25), 0),
    "Final_Training/Images/00000/00000_00001": ((60, 50), (6, 5, 54, 45), 0),
    "Final_Training/Images/00042/00001_00000": ((40, 40), (4, 4, 36, 36), 42),
    "Final_Test/Images/00000": ((100, 90), (10, 9, 90, 81), 16),
}


def sign(i, size, box):
    """Blue signs on red ground."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[..., 0] = 255
    image[box[1] : box[3], box[0] : box[2]] = (0, 0, 200 + i)
    return encoded(image, "ppm")


def write_gtsrb(manual):
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
    tables, images = {}, {}
    for i, (key, (size, box, label)) in enumerate(SIGNS.items()):
        folder, name = key.rsplit("/", 1)
        row = ";".join(map(str, (f"{name}.ppm", *size, *box, label)))
        tables.setdefault(folder, [header]).append(row)
        images[f"GTSRB/{key}.ppm"] = sign(i, size, box)
    tables = {folder: ("\r\n".join(rows) + "\r\n").encode() for folder, rows in tables.items()}
    train = {name: image for name, image in images.items() if "Training" in name}
    for folder, table in tables.items():
        if "Training" in folder:
            train[f"GTSRB/{folder}/GT-{folder[-5:]}.csv"] = table
    train["GTSRB/Readme-Images.txt"] = b"about"
    test = {name: image for name, image in images.items() if "Test" in name}
    test["GTSRB/Final_Test/Images/GT-final_test.test.csv"] = b"Filename;Width\r\n00000.ppm;100\r\n"
    truth = {"GT-final_test.csv": tables["Final_Test/Images"]}
    for archive, files in zip(gtsrb.Gtsrb.ARCHIVES, (train, test, truth), strict=True):
        write_zip(manual / archive.name, files)


@pytest.fixture
def tiny_gtsrb(monkeypatch):
    archives = tuple(map(without_md5, builders.Gtsrb.ARCHIVES))
    monkeypatch.setattr(builders.Gtsrb, "ARCHIVES", archives)
    monkeypatch.setattr(builders.Gtsrb, "COUNTS", {"train": 3, "test": 1})


@pytest.mark.parametrize("name", ["gtsrb", "gtsrb_cropped"])
def test_gtsrb_has_the_signs_of_the_archives(tmp_path, manual, tiny_gtsrb, name):
    write_gtsrb(manual)
    data = load_dataset(name, data_dir=tmp_path)
    assert data.splits["train"].images.shape == (3, 40, 40, 3)
    assert data.splits["test"].images.shape == (1, 40, 40, 3)
    assert data.num_classes == 43
    assert (data.class_names[0], data.class_names[16]) == ("speed_20", "no_trucks")
    found = examples(name, tmp_path, "train") | examples(name, tmp_path, "test")
    assert {key: example["label"] for key, example in found.items()} == {
        key: label for key, (_, _, label) in SIGNS.items()
    }
    for i, key in enumerate(SIGNS):
        image = found[key]["image"]
        np.testing.assert_array_equal(image[20, 20], (0, 0, 200 + i))
        corner = (0, 0, 200 + i) if name == "gtsrb_cropped" else (255, 0, 0)
        for row, column in ((0, 0), (0, 39), (39, 0), (39, 39)):
            np.testing.assert_array_equal(image[row, column], corner)


def test_class_names_are_those_of_the_prepared_set(data_dir):
    prepared = tfds.core.read_only_builder.builder_from_files("gtsrb", data_dir=data_dir)
    assert tuple(prepared.info.features["label"].names) == pictograms.CLASS_NAMES


def test_gtsrb_with_a_sign_too_few_is_named(tmp_path, manual, tiny_gtsrb, monkeypatch):
    write_gtsrb(manual)
    monkeypatch.setattr(builders.Gtsrb, "COUNTS", {"train": 4, "test": 1})
    message = failure("gtsrb", tmp_path)
    path = manual / "GTSRB_Final_Training_Images.zip"
    assert f"{path} is damaged" in message
    assert "3 train images instead of 4" in message


def test_gtsrb_without_its_test_images_is_named(tmp_path, manual, tiny_gtsrb):
    write_gtsrb(manual)
    path = manual / "GTSRB_Final_Test_Images.zip"
    write_zip(path, {"GTSRB/readme.txt": b""})
    assert f"{path} is damaged" in failure("gtsrb", tmp_path)


def test_gtsrb_that_cannot_be_downloaded_names_all_its_archives(tmp_path, no_network):
    message = failure("gtsrb_cropped", tmp_path)
    for name in ("Training_Images", "Test_Images", "Test_GT"):
        assert f"GTSRB_Final_{name}.zip (from https://sid.erda.dk/" in message


# Omniglot


@pytest.fixture
def omniglot_files(monkeypatch):
    """Content of two archives of two characters by two drawers, which the builder takes for all."""
    archives = [without_md5(file) for file in builders.OmniglotCharacters.ARCHIVES]
    counts = {file.name: 2 for file in archives}
    monkeypatch.setattr(builders.OmniglotCharacters, "ARCHIVES", archives)
    monkeypatch.setattr(builders.OmniglotCharacters, "COUNTS", counts)
    files = {}
    for file, number, name in zip(archives, (27, 1623), ("Armenian", "ULOG"), strict=True):
        place = 1 if name == "Armenian" else 26
        folder = f"{file.name[:-4]}/{name}/character{place:02d}"
        # Black ink on white, below for the drawer to train on.
        drawings = {}
        for drawer, rows in ((15, slice(53, None)), (16, slice(None, 53))):
            image = np.full((105, 105), 255, np.uint8)
            image[rows] = 0
            drawings[f"{folder}/{number:04d}_{drawer}.png"] = encoded(image)
        files[file.name] = {f"{folder}/": b"", **drawings}
    return files


def test_omniglot_is_split_by_drawer_and_white_on_black(tmp_path, manual, omniglot_files):
    for name, files in omniglot_files.items():
        write_zip(manual / name, files)
    data = load_dataset("omniglot_characters", data_dir=tmp_path)
    assert len(data.class_names) == 1623
    assert data.class_names[26] == "Armenian/character01"
    for split, drawer, inked in (("train", 15, 27), ("test", 16, 0)):
        found = examples("omniglot_characters", tmp_path, split)
        labels = {key: example["label"] for key, example in found.items()}
        assert labels == {f"0027_{drawer}": 26, f"1623_{drawer}": 1622}
        image = found[f"0027_{drawer}"]["image"]
        assert image.shape == (28, 28, 1)
        assert (image[inked] == 255).all()
        assert (image[27 - inked] == 0).all()


def test_omniglot_archives_with_too_few_or_misplaced_drawings_are_named(
    tmp_path, manual, omniglot_files
):
    first, second = omniglot_files
    write_zip(manual / first, omniglot_files[first])
    write_zip(manual / second, dict(list(omniglot_files[second].items())[:2]))
    message = failure("omniglot_characters", tmp_path)
    assert f"{manual / second} is damaged" in message
    assert "1 drawings instead of 2" in message
    moved = {name.replace("ULOG", "Tibetan"): file for name, file in omniglot_files[second].items()}
    write_zip(manual / second, moved)
    assert f"{manual / second} is damaged" in failure("omniglot_characters", tmp_path)
