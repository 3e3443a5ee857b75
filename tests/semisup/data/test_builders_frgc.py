"""Tests of the face images for clustering, on fakes of both forms in which they can be had."""

import h5py
import numpy as np
import pytest
import tensorflow_datasets as tfds
from fake_originals import cut_network, encoded, examples, failure, make_manual_dir, random_images

from semisup.data import builders
from semisup.data.datasets import load_dataset

COUNT = 2_462

# Unordered numbers with gaps, as the subjects of FRGC have them.
NUMBERS = np.random.default_rng(0).permutation(np.arange(4201, 4600, 7)[:20])


@pytest.fixture
def frgc(tmp_path):
    folder = make_manual_dir(tmp_path) / "frgc"
    folder.mkdir()
    return folder


def subjects(count=COUNT, of=20):
    return NUMBERS[np.arange(count) % of]


def stored(images):
    """Images (n, row, column, channel) with their axes as JULE's file has them."""
    return images.transpose(0, 3, 2, 1)


def write_file(folder, images, labels):
    with h5py.File(folder / "data4torch.h5", "w") as file:
        file["data"] = images
        file["labels"] = labels
    return folder / "data4torch.h5"


def faces(count=COUNT):
    return random_images(count, 32, 32, 3)


def write_folders(folder, names, per_subject=2):
    """Two uniform images a subject, of any size and format; colours tell subject and image."""
    for subject, name in enumerate(names):
        (folder / name).mkdir()
        for i in range(per_subject):
            image = np.full((40 + i, 50, 3), (subject, i, 9), np.uint8)
            format, extension = [("png", ".png"), ("bmp", ".BMP")][i % 2]
            (folder / name / f"{i}{extension}").write_bytes(encoded(image, format))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(builders.Frgc, "COUNT", 40)


# What names the folders, deliberately not in the order of their names.
NAMES = [f"subject {number}" for number in NUMBERS]


def test_the_builder_is_registered(tmp_path):
    builder = tfds.builder("frgc", data_dir=tmp_path)
    assert isinstance(builder, builders.Frgc)
    assert str(builder.version) == "1.0.0"
    assert builder.info.features["image"].shape == (32, 32, 3)
    assert builder.info.features["label"].num_classes == 20


@pytest.mark.parametrize(
    ("dtype", "count"), [(np.uint8, COUNT), (np.float32, 40), (np.float64, 40)]
)
def test_the_file_of_jule_gives_its_images_and_subjects(tmp_path, frgc, monkeypatch, dtype, count):
    monkeypatch.setattr(builders.Frgc, "COUNT", count)
    images = faces(count)
    # Labels as one column, and as floats: such files are about, too.
    labels = subjects(count) if dtype == np.uint8 else subjects(count).astype(dtype)[:, None]
    write_file(frgc, stored(images).astype(dtype), labels)
    data = load_dataset("frgc", data_dir=tmp_path, splits=["train"])
    assert data.image_shape == (32, 32, 3)
    assert data.num_classes == 20
    assert data.splits["train"].images.shape == (count, 32, 32, 3)
    found = examples("frgc", tmp_path, "train")
    assert sorted(found) == [f"train_{i:04d}" for i in range(count)]
    expected = np.searchsorted(np.sort(NUMBERS), subjects(count))
    for i in range(count):
        np.testing.assert_array_equal(found[f"train_{i:04d}"]["image"], images[i])
        assert found[f"train_{i:04d}"]["label"] == expected[i]
    assert set(expected) == set(range(20))


def test_the_folders_of_subjects_give_resized_images(tmp_path, frgc, tiny):
    write_folders(frgc, NAMES)
    (frgc / NAMES[0] / "notes.txt").write_text("of mine")
    (frgc / NAMES[0] / "._0.png").write_bytes(b"of a Mac")
    (frgc / ".thumbnails").mkdir()
    (frgc / ".thumbnails" / "0.png").write_bytes(b"small")
    (frgc / "empty").mkdir()
    data = load_dataset("frgc", data_dir=tmp_path, splits=["train"])
    np.testing.assert_array_equal(np.bincount(data.splits["train"].labels), [2] * 20)
    found = examples("frgc", tmp_path, "train")
    assert len(found) == 40
    for subject, name in enumerate(NAMES):
        for i, file in enumerate(("0.png", "1.BMP")):
            example = found[f"{name}/{file}"]
            assert example["label"] == sorted(NAMES).index(name)
            np.testing.assert_array_equal(
                example["image"], np.broadcast_to((subject, i, 9), (32, 32, 3))
            )


def test_images_of_the_right_size_are_kept_as_they_are(tmp_path, frgc, monkeypatch):
    monkeypatch.setattr(builders.Frgc, "COUNT", 20)
    for i, name in enumerate(NAMES):
        (frgc / name).mkdir()
        (frgc / name / "0.png").write_bytes(encoded(faces(20)[i]))
    load_dataset("frgc", data_dir=tmp_path, splits=["train"])
    found = examples("frgc", tmp_path, "train")
    for i, name in enumerate(NAMES):
        np.testing.assert_array_equal(found[f"{name}/0.png"]["image"], faces(20)[i])


def test_larger_images_are_resized_bilinearly_with_antialiasing(tmp_path, frgc, tiny):
    write_folders(frgc, NAMES)
    stripes = np.repeat(np.tile(np.array([0, 255], np.uint8), (128, 64))[..., None], 3, -1)
    (frgc / NAMES[0] / "0.png").write_bytes(encoded(stripes))
    load_dataset("frgc", data_dir=tmp_path, splits=["train"])
    image = examples("frgc", tmp_path, "train")[f"{NAMES[0]}/0.png"]["image"]
    assert np.abs(image[1:-1, 1:-1].astype(int) - 127).max() < 16


def test_the_file_comes_before_the_folders(tmp_path, frgc, tiny):
    write_folders(frgc, NAMES)
    write_file(frgc, stored(faces(40)), subjects(40))
    load_dataset("frgc", data_dir=tmp_path, splits=["train"])
    assert "train_0000" in examples("frgc", tmp_path, "train")


@pytest.mark.parametrize("there", [None, "", "subject", "face.png"])
def test_missing_faces_say_what_to_put_where(tmp_path, monkeypatch, there):
    cut_network(monkeypatch)
    manual = tmp_path / "downloads" / "manual"
    if there is not None:
        (manual / "frgc" / there).mkdir(parents=True)
    message = failure("frgc", tmp_path)
    assert "put frgc/data4torch.h5 (from datasets/FRGC of JULE's release" in message
    assert f"into {manual}, or " in message
    assert f"into a folder {manual}/frgc/SUBJECT" in message


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
def test_a_damaged_file_is_named(tmp_path, frgc, content):
    path = write_file(frgc, stored(faces()), subjects())
    path.write_bytes(path.read_bytes()[:-5_000] if content is None else content)
    assert f"{path} is damaged" in failure("frgc", tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (faces(COUNT - 1), subjects(COUNT - 1), "it has 2461 face images instead of 2462"),
        (faces(COUNT + 1), subjects(COUNT + 1), "it has 2463 face images instead of 2462"),
        (faces(), subjects(of=19), "it has 19 subjects instead of 20"),
        (faces(), np.append(subjects(COUNT - 1), 0), "it has 21 subjects instead of 20"),
        (faces(), subjects(COUNT - 1), "it has 2461 labels instead of 2462"),
        (faces()[:, :28], subjects(), "instead of (3, 32, 32)"),
        (faces() / 255, subjects(), "instead of 0 to 255"),
        (faces() - 128.0, subjects(), "instead of 0 to 255"),
        (np.full((COUNT, 32, 32, 3), np.nan), subjects(), "instead of 0 to 255"),
    ],
    ids=["less", "more", "19", "21", "labels", "size", "unit", "signed", "nan"],
)
def test_a_file_with_other_content_is_refused(tmp_path, frgc, images, labels, complaint):
    path = write_file(frgc, stored(images), labels)
    message = failure("frgc", tmp_path)
    assert f"{path} is damaged" in message
    assert complaint in message


@pytest.mark.parametrize("names", [["data"], ["data", "labels", "more"]])
def test_a_file_with_other_datasets_is_refused(tmp_path, frgc, names):
    with h5py.File(frgc / "data4torch.h5", "w") as file:
        for name in names:
            file[name] = subjects()
    assert f"{frgc / 'data4torch.h5'} is damaged" in failure("frgc", tmp_path)


def test_folders_with_an_image_less_are_refused(tmp_path, frgc, tiny):
    write_folders(frgc, NAMES)
    (frgc / NAMES[3] / "0.png").unlink()
    message = failure("frgc", tmp_path)
    assert f"{frgc} is damaged" in message
    assert "it has 39 face images instead of 40" in message


def test_folders_of_other_people_too_are_refused(tmp_path, frgc, tiny):
    write_folders(frgc, NAMES)
    (frgc / NAMES[3] / "0.png").rename(frgc / "0.png")
    (frgc / "another").mkdir()
    (frgc / "0.png").rename(frgc / "another" / "0.png")
    message = failure("frgc", tmp_path)
    assert f"{frgc} is damaged" in message
    assert "it has 21 subjects instead of 20" in message


def test_a_damaged_image_is_named(tmp_path, frgc, tiny):
    write_folders(frgc, NAMES)
    path = frgc / NAMES[3] / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    assert f"{path} is damaged" in failure("frgc", tmp_path)
