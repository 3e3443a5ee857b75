"""Tests of MNIST-M made anew, and of the photographs it is made with."""

import hashlib
import io

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
)
from PIL import Image

from semisup.data.builders import bsds500, mnist_m_generated
from semisup.data.builders.mnist_m_generated import blend
from semisup.data.datasets import load_dataset
from semisup.errors import UserError


@pytest.fixture
def manual(tmp_path):
    return make_manual_dir(tmp_path)


@pytest.fixture
def no_network(monkeypatch):
    cut_network(monkeypatch)


def fake_photos():
    """200 arrays in the sizes of BSDS500, upright and lying, no two alike."""
    ramp = np.arange(481, dtype=np.uint8)[:, None, None]
    lying = np.broadcast_to(ramp[:321], (321, 481, 3))
    upright = np.broadcast_to(ramp, (481, 321, 3))
    return [(upright if i % 3 else lying) + np.uint8(i) for i in range(200)]


@pytest.fixture(scope="module")
def photo_files():
    return {f"{1000 + i}.jpg": encoded(photo, "jpeg") for i, photo in enumerate(fake_photos())}


@pytest.fixture(autouse=True)
def expected_photographs(monkeypatch, photo_files):
    """The builder takes the photographs of the tests for the published ones."""
    monkeypatch.setattr(bsds500, "SHA256", bsds500.digest(photo_files))


@pytest.fixture
def photo_folder(manual, photo_files):
    folder = manual / "bsds500"
    folder.mkdir()
    for name, content in photo_files.items():
        (folder / name).write_bytes(content)
    return folder


def prepare_mnist(data_dir):
    """A prepared MNIST of 5 + 4 digits."""

    def digits(count):
        images = random_images(count, 28, 28, 1, seed=count)
        images[images < 128] = 0
        return [(i, {"image": image, "label": i}) for i, image in enumerate(images)]

    tfds.dataset_builders.store_as_tfds_dataset(
        name="mnist",
        version="3.0.1",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        split_datasets={"train": digits(5), "test": digits(4)},
        data_dir=str(data_dir),
        disable_shuffling=True,
    )


def test_a_blend_is_the_difference_of_a_patch_and_the_digit_in_black_and_white():
    photo = np.arange(32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3)
    digit = np.zeros((28, 28), np.uint8)
    digit[3:20, 4:9] = 1
    digit[5, 5] = 255
    digit[27, 27] = 100
    stroke = np.zeros((32, 32, 1), np.int32)
    stroke[5:22, 6:11] = 255
    stroke[29, 29] = 255
    expected = np.abs(photo.astype(np.int32) - stroke)
    np.testing.assert_array_equal(blend(digit, [photo], (0,)), expected)


def test_patches_come_from_every_place_of_every_photo():
    upright = np.arange(34 * 33, dtype=np.int32).reshape(34, 33, 1).repeat(3, axis=2)
    photos = [upright, upright[:33] + 10_000]
    corners = [blend(np.zeros((28, 28)), photos, (7, i))[0, 0, 0] for i in range(1000)]
    places, counts = np.unique(corners, return_counts=True)
    first = {row * 33 + column for row in range(3) for column in range(2)}
    second = {10_000 + row * 33 + column for row in range(2) for column in range(2)}
    assert set(places) == first | second
    # Half of the 1,000 fall on each photo: 83 on each of 6 places, 125 on each of 4.
    assert counts.min() > 50
    assert abs(counts[:6].sum() - 500) < 80


def test_a_blend_depends_on_its_seed_alone():
    photos = list(random_images(3, 60, 50, 3))
    digits = random_images(2, 28, 28, seed=1)
    images = [blend(digits[0], photos, (0, 0, i)) for i in range(20)]
    assert len({image.tobytes() for image in images}) == 20
    blend(digits[1], photos, (0, 0, 5))
    np.testing.assert_array_equal(blend(digits[0], photos, (0, 0, 5)), images[5])


def test_the_first_blends_of_known_inputs_are_the_same_everywhere():
    place = np.arange(120 * 90 * 3).reshape(120, 90, 3)
    photos = [(place * factor % 251).astype(np.uint8) for factor in (1, 7, 31)]
    digits = [np.uint8(np.arange(784).reshape(28, 28) * i % 3 // 2) for i in range(8)]
    images = np.stack([blend(digit, photos, (0, 1, i)) for i, digit in enumerate(digits)])
    assert images.dtype == np.uint8
    assert hashlib.sha256(images.tobytes()).hexdigest() == (
        "5f6b80c26a9380fef2dd93d02f844b39a5a071967c3a39fe476ce990b822e559"
    )


def test_generated_images_are_the_digits_of_mnist_in_order(tmp_path, photo_folder):
    prepare_mnist(tmp_path)
    generated = load_dataset("mnist_m_generated", data_dir=tmp_path)
    mnist = load_dataset("mnist", data_dir=tmp_path)
    names = sorted(path.name for path in photo_folder.iterdir())
    photos = [np.asarray(Image.open(photo_folder / name)) for name in names]
    assert generated.class_names == tuple("0123456789")
    for stream, split in enumerate(("train", "test")):
        digits = mnist.splits[split]
        np.testing.assert_array_equal(generated.splits[split].labels, digits.labels)
        expected = [
            blend(digit[..., 0], photos, (0, stream, i)) for i, digit in enumerate(digits.images)
        ]
        np.testing.assert_array_equal(generated.splits[split].images, expected)
    assert sorted(examples("mnist_m_generated", tmp_path, "test")) == [f"{i:08d}" for i in range(4)]


def test_photographs_of_the_archive_are_those_of_the_folder(tmp_path, manual, photo_files):
    archive = manual / "BSR_bsds500.tgz"
    folder = "BSR/BSDS500/data/images"
    files = {f"{folder}/train/{name}": content for name, content in reversed(photo_files.items())}
    files[f"{folder}/test/1.jpg"] = files[f"{folder}/train/1001.jpg"]
    files[f"{folder}/train/Thumbs.db"] = b"other"
    write_tar(archive, files)
    manager = tfds.download.DownloadManager(download_dir=tmp_path, manual_dir=manual)
    photos = bsds500.photographs(manager, "some_set")
    assert len(photos) == 200
    for photo, content in zip(photos, photo_files.values(), strict=True):
        np.testing.assert_array_equal(photo, np.asarray(Image.open(io.BytesIO(content))))

    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"{archive} is damaged"):
        bsds500.photographs(manager, "some_set")


def test_the_archive_of_photographs_is_downloaded_if_it_is_absent(
    tmp_path, photo_files, monkeypatch
):
    archive = tmp_path / "downloaded.tgz"
    write_tar(archive, {f"images/train/{name}": data for name, data in photo_files.items()})
    asked = {}

    def download(self, urls):
        asked.update(urls)
        return dict.fromkeys(urls, archive)

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    manager = tfds.download.DownloadManager(
        download_dir=tmp_path, manual_dir=tmp_path / "downloads" / "manual"
    )
    assert len(bsds500.photographs(manager, "some_set")) == 200
    assert list(asked) == ["BSR_bsds500.tgz"]
    assert asked["BSR_bsds500.tgz"].startswith("http://www.eecs.berkeley.edu/")


def test_missing_photographs_say_what_to_put_where(tmp_path, no_network):
    message = failure("mnist_m_generated", tmp_path)
    for part in ("no network", "BSR_bsds500.tgz", "http://www.eecs.berkeley.edu/", "bsds500"):
        assert part in message
    assert f"into {tmp_path / 'downloads' / 'manual'}" in message


def test_a_photograph_too_few_is_refused(tmp_path, photo_folder):
    (photo_folder / "1007.jpg").unlink()
    assert f"{photo_folder} is damaged" in failure("mnist_m_generated", tmp_path)


def test_other_photographs_of_the_same_size_are_refused(tmp_path, photo_folder):
    (photo_folder / "1007.jpg").write_bytes((photo_folder / "1008.jpg").read_bytes())
    message = failure("mnist_m_generated", tmp_path)
    assert f"{photo_folder} holds others than the 200 training photographs" in message
    assert bsds500.SHA256 in message


def test_a_photograph_that_is_none_is_named(tmp_path, photo_folder):
    (photo_folder / "1007.jpg").write_bytes(b"no image")
    assert f"{photo_folder / '1007.jpg'} is damaged" in failure("mnist_m_generated", tmp_path)


def test_a_photograph_of_another_size_is_named(tmp_path, photo_folder):
    (photo_folder / "1007.jpg").write_bytes(encoded(random_images(30, 40, 3), "jpeg"))
    message = failure("mnist_m_generated", tmp_path)
    assert str(photo_folder / "1007.jpg") in message
    assert "40 x 30" in message


def test_mnist_that_cannot_be_downloaded_is_one_line(tmp_path, photo_folder, no_network):
    assert "data set 'mnist' is not in" in failure("mnist_m_generated", tmp_path)


def test_the_size_of_a_generated_image_is_that_of_the_published(data_dir):
    published = tfds.builder("mnist_m", data_dir=data_dir).info.features["image"]
    assert published.shape == (mnist_m_generated.SIZE, mnist_m_generated.SIZE, 3)
