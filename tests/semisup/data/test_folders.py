"""Tests of data sets made of image files in folders."""

import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from semisup.data import folders
from semisup.data.datasets import load_dataset
from semisup.errors import UserError


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)


def colour(seed, height=6, width=5):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def grey(seed, height=6, width=5):
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes, two and one colour images to train with, one to test on, two without label."""
    save(tmp_path / "train" / "dog" / "a.png", colour(2))
    save(tmp_path / "train" / "cat" / "b.png", colour(1))
    save(tmp_path / "train" / "cat" / "a.png", colour(0))
    save(tmp_path / "test" / "dog" / "x.png", colour(3))
    save(tmp_path / "unlabeled" / "y.png", colour(4))
    save(tmp_path / "unlabeled" / "deep" / "er" / "x.bmp", colour(5))
    return tmp_path


def load(folder, **options):
    return load_dataset(f"folder:{folder}", **options)


def load_one(tmp_path, *images, image_size=0, **options):
    """The training images of a folder that holds just these."""
    for i, image in enumerate(images):
        save(tmp_path / "train" / "only" / f"{i}.png", image, **options)
    return load(tmp_path, splits=["train"], image_size=image_size).splits["train"].images


def test_classes_and_images_come_sorted_by_name(folder):
    data = load(folder)
    assert data.name == f"folder:{folder}"
    assert data.class_names == ("cat", "dog")
    assert data.num_classes == 2
    train, test = data.splits["train"], data.splits["test"]
    np.testing.assert_array_equal(train.images, np.stack([colour(0), colour(1), colour(2)]))
    np.testing.assert_array_equal(train.labels, [0, 0, 1])
    np.testing.assert_array_equal(test.images, colour(3)[None])
    np.testing.assert_array_equal(test.labels, [1])
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int32


@pytest.mark.parametrize("on_disk", ["unlabeled", "unlabelled"])
@pytest.mark.parametrize("asked", ["unlabeled", "unlabelled"])
def test_unlabelled_images_lie_at_any_depth_under_either_spelling(folder, on_disk, asked):
    (folder / "unlabeled").rename(folder / on_disk)
    split = load(folder, splits=[asked]).splits[asked]
    assert split.labels is None
    np.testing.assert_array_equal(split.images, np.stack([colour(5), colour(4)]))


def test_unlabelled_images_alone_are_a_data_set_without_classes(tmp_path):
    save(tmp_path / "unlabelled" / "a.png", colour(0))
    data = load(tmp_path, splits=["unlabelled"])
    assert data.num_classes == 0
    assert data.splits["unlabelled"].images.shape == (1, 6, 5, 3)


def test_without_folders_of_splits_all_images_at_any_depth_are_unlabelled(tmp_path):
    save(tmp_path / "z.png", colour(2))
    save(tmp_path / "b" / "deep" / "er.png", colour(1))
    save(tmp_path / "a.png", colour(0))
    save(tmp_path / ".hidden.png", colour(6))
    save(tmp_path / ".thumbnails" / "a.png", colour(6))
    (tmp_path / "notes.txt").write_text("of mine")
    data = load(tmp_path, splits=["unlabelled"])
    assert data.class_names == ()
    assert list(data.splits) == ["unlabelled"]
    assert data.splits["unlabelled"].labels is None
    images = np.stack([colour(0), colour(1), colour(2)])
    np.testing.assert_array_equal(data.splits["unlabelled"].images, images)
    assert list(load(tmp_path, splits=["unlabeled"]).splits) == ["unlabeled"]
    found = folders.open_folder(str(tmp_path))
    assert (found.class_names, list(found.sources)) == ((), ["unlabelled"])
    _, labels = zip(*found.sources["unlabelled"].blocks(), strict=True)
    np.testing.assert_array_equal(np.concatenate(labels), [-1, -1, -1])


@pytest.mark.parametrize("split", ["train", "test", "unlabelled", "unlabeled"])
def test_images_beside_a_folder_of_a_split_are_not_looked_at(tmp_path, split):
    save(tmp_path / split / "a" / "0.png", colour(0))
    save(tmp_path / "beside.png", colour(1, height=9))
    save(tmp_path / "b" / "beside.png", colour(1, height=9))
    data = load(tmp_path, splits=[split])
    np.testing.assert_array_equal(data.splits[split].images, colour(0)[None])


def test_hidden_files_and_files_of_other_kinds_are_skipped(folder):
    save(folder / "train" / "cat" / ".hidden.png", colour(6))
    save(folder / "train" / "cat" / ".thumbnails" / "a.png", colour(6))
    save(folder / "train" / ".cache" / "a.png", colour(6))
    (folder / "train" / "cat" / "notes.txt").write_text("of mine")
    (folder / "train" / "labels.csv").write_text("a,b")
    data = load(folder)
    assert data.class_names == ("cat", "dog")
    assert len(data.splits["train"].images) == 3


@pytest.mark.parametrize("name", ["0.jpg", "0.JPEG", "0.PNG", "0.bmp", "0.webp"])
def test_all_formats_are_read(tmp_path, name):
    save(tmp_path / "train" / "a" / name, np.full((8, 8, 3), (200, 40, 90), np.uint8))
    images = load(tmp_path, splits=["train"]).splits["train"].images
    assert images.shape == (1, 8, 8, 3)
    assert np.abs(images.astype(int) - (200, 40, 90)).max() < 8


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    first, second = (Image.new("RGB", (4, 4), name) for name in ("red", "blue"))
    path = tmp_path / "train" / "a" / "0.gif"
    save(path, first, save_all=True, append_images=[second])
    images = load(tmp_path, splits=["train"]).splits["train"].images
    np.testing.assert_array_equal(images, np.broadcast_to([255, 0, 0], (1, 4, 4, 3)))


def test_grey_images_have_one_channel(tmp_path):
    images = load_one(tmp_path, grey(0), grey(1))
    np.testing.assert_array_equal(images, np.stack([grey(0), grey(1)])[..., None])


def test_one_colour_image_in_any_split_makes_all_rgb(tmp_path):
    save(tmp_path / "train" / "a" / "0.png", grey(0))
    save(tmp_path / "test" / "a" / "0.png", colour(0))
    images = load(tmp_path, splits=["train"]).splits["train"].images
    np.testing.assert_array_equal(images, np.repeat(grey(0)[None, ..., None], 3, -1))


@pytest.mark.parametrize("entry", [(9, 9, 9), (9, 9, 8)])
def test_a_palette_is_grey_if_all_its_colours_are(tmp_path, entry):
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, *entry])
    images = load_one(tmp_path, image)
    expected = entry if len(set(entry)) > 1 else entry[:1]
    np.testing.assert_array_equal(images, np.broadcast_to(expected, (1, 2, 2, len(expected))))


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.dstack([colour(0), np.full((6, 5), 255, np.uint8)])
    pixels[0, 0] = (10, 20, 30, 0)
    expected = colour(0)
    expected[0, 0] = 255
    np.testing.assert_array_equal(load_one(tmp_path, pixels)[0], expected)


def test_transparent_grey_stays_grey(tmp_path):
    pixels = np.dstack([grey(0), np.full((6, 5), 255, np.uint8)])
    pixels[0, 0] = (10, 0)
    expected = grey(0)
    expected[0, 0] = 255
    np.testing.assert_array_equal(load_one(tmp_path, pixels)[0, ..., 0], expected)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, np.fliplr),
        (3, lambda x: np.rot90(x, 2)),
        (4, np.flipud),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: np.rot90(x, 2).swapaxes(0, 1)),
        (8, lambda x: np.rot90(x, 1)),
    ],
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_exif_orientation_is_respected(tmp_path, orientation, upright, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "train" / "only" / f"0.{ending}", colour(0), exif=exif)
    (image,) = load(tmp_path, splits=["train"]).splits["train"].images
    np.testing.assert_array_equal(image, upright(colour(0)))


def test_images_turned_upright_to_one_size_are_of_one_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "train" / "a" / "1.png", colour(1, height=5, width=6), exif=exif)
    assert load_one(tmp_path, colour(0)).shape == (2, 6, 5, 3)


def test_images_of_different_sizes_are_a_user_error_that_names_two(folder):
    save(folder / "test" / "cat" / "big.png", colour(0, height=7, width=9))
    message = r"a\.png is 5 x 6, .*big\.png is 9 x 7; pass --new_size=N"
    with pytest.raises(UserError, match=message):
        load(folder, splits=["train"])


def test_image_size_resizes_images_of_any_size(folder):
    save(folder / "test" / "cat" / "big.png", np.full((70, 9, 3), 123, np.uint8))
    data = load(folder, image_size=8)
    assert data.splits["train"].images.shape == (3, 8, 8, 3)
    np.testing.assert_array_equal(data.splits["test"].images[0], np.full((8, 8, 3), 123))


def test_resizing_is_antialiased(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    resized = load_one(tmp_path, stripes, image_size=8)[0, 1:-1, 1:-1]
    assert np.abs(resized.astype(int) - 127).max() < 16


def test_resizing_to_the_same_size_changes_nothing(tmp_path):
    pixels = colour(0, height=6, width=6)
    np.testing.assert_array_equal(load_one(tmp_path, pixels, image_size=6)[0], pixels)


def write_folder(root, *names):
    for name in names:
        save(root / name, colour(0))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"has no images; .* is empty; it should hold train/cat/1\.jpg, "),
        (["a.png", "b/a.png"], "no split 'train'; .* holds the folder b and 1 image; it should"),
        ([".hidden.png"], "has no images; .* is empty; it should hold train/"),
        (["train/a.png"], r"train has no class folders; .* itself: folder:.*/train; "),
        (["train/a/0.png", "test/0.png"], r"test has no class folders; .* folder:.*/test; "),
        (["train/a/0.png"], "no split 'test'; its splits are train"),
        (["test/a/0.png"], "no split 'train'; its splits are test"),
        (["train/a/0.png", "test/b/0.png"], "test/b: there is no class 'b' .* classes are a"),
    ],
)
def test_a_misshapen_folder_is_a_user_error(tmp_path, names, message):
    write_folder(tmp_path, *names)
    with pytest.raises(UserError, match=message):
        load(tmp_path)


def test_a_missing_folder_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["train/cat", "test/dog"])
def test_a_class_without_training_images_or_a_split_without_images_is_a_user_error(folder, name):
    for file in (folder / name).iterdir():
        file.unlink()
    with pytest.raises(UserError, match=rf"{name} has no images; \.jpg .* still images are read$"):
        load(folder)


def test_a_class_with_files_of_other_kinds_only_hints_at_them(folder):
    (folder / "train" / "cow").mkdir()
    (folder / "train" / "cow" / "a.heic").touch()
    with pytest.raises(
        UserError,
        match=r"cow has no images, only other files such as a\.heic.* pillow_heif reads HEIC",
    ):
        load(folder)


def test_files_of_other_kinds_alone_are_a_user_error_that_hints_at_them(tmp_path):
    (tmp_path / "a.heic").touch()
    with pytest.raises(
        UserError, match=r"has no images, only other .* as a\.heic; .* 1 other file"
    ):
        load(tmp_path)


def test_a_file_that_is_no_image_is_a_user_error_that_names_it(folder):
    (folder / "test" / "dog" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 of 7 images cannot be read: test/dog/broken\.png \(no"):
        load(folder)


def break_files(folder, *names):
    """Damage files of which the headers stay whole."""
    for name in names:
        os.truncate(folder / name, (folder / name).stat().st_size - 40)


def test_all_broken_files_of_all_splits_are_listed_at_once_in_one_line(folder):
    break_files(folder, "train/cat/a.png", "test/dog/x.png")
    (folder / "unlabeled" / "link.png").symlink_to("nowhere")
    with pytest.raises(UserError) as error:
        load(folder)
    text = str(error.value)
    assert "3 of 7 images cannot be read: train/cat/a.png (" in text
    assert "test/dog/x.png (" in text
    assert "unlabeled/link.png (No such file or directory); --skip_broken goes on" in text
    for number in range(12):
        (folder / "test" / "dog" / f"{number}.png").touch()
    with pytest.raises(UserError, match=r"15 of 19 images .* and 5 more; --skip_broken") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_a_figure_of_ours_among_the_images_is_named_and_can_be_left_out(folder):
    remarks = PngImagePlugin.PngInfo()
    remarks.add_text("Software", "semisup")
    save(folder / "test" / "dog" / "sheet.png", colour(6), pnginfo=remarks)
    message = r"test/dog/sheet.png \(a figure or contact sheet that this program drew\)"
    with pytest.raises(UserError, match=message):
        folders.open_folder(str(folder))
    kept = folders.open_folder(str(folder), skip_broken=True)
    assert kept.sources["test"].shape[0] == 1


def test_broken_files_can_be_left_out_by_images_and_paths_alike(folder):
    break_files(folder, "train/cat/a.png")
    (folder / "unlabeled" / "b.png").touch()
    data = load(folder, splits=["train", "unlabelled"], skip_broken=True)
    np.testing.assert_array_equal(data.splits["train"].images, np.stack([colour(1), colour(2)]))
    np.testing.assert_array_equal(data.splits["train"].labels, [0, 1])
    assert "left out: 2 unreadable images, such as train/cat/a.png (" in data.notes[1]
    paths = [folders.image_paths(str(folder), split, skip_broken=True) for split in data.splits]
    assert paths == [
        ["train/cat/b.png", "train/dog/a.png"],
        ["unlabeled/deep/er/x.bmp", "unlabeled/y.png"],
    ]
    break_files(folder, "test/dog/x.png")
    with pytest.raises(UserError, match="no image of test can be read"):
        load(folder, skip_broken=True)


def test_a_start_says_in_three_lines_what_was_found(folder):
    save(folder / "train" / "cow" / "c.png", colour(0, height=8, width=40))
    for name in ("notes.txt", "b.heic"):
        (folder / "train" / "cow" / name).touch()
    assert load(folder, image_size=4, fit="crop").notes == (
        f"{folder}: 4 images to train with, in 3 classes of 1 to 2: cat 2, cow 1, dog 1",
        "  unlabelled: 2 images; test: 1 image of 1 of the 3 classes; skipped: 2 other files, "
        "such as train/cow/b.heic; the package pillow_heif reads HEIC",
        "  sizes: from 5 x 6 to 40 x 8 pixels, the centre of each resized to 4 x 4 (--fit=crop)",
    )
    alone = load(folder / "unlabeled", splits=["unlabelled"]).notes
    assert alone == (
        f"{folder / 'unlabeled'}: no classes",
        "  unlabelled: 2 images; test: none; no file was skipped",
        "  sizes: 5 x 6 pixels",
    )


def test_of_many_classes_the_first_are_counted(tmp_path):
    for number in range(20):
        save(tmp_path / "train" / f"{number:02}" / "0.png", grey(0))
    note = load(tmp_path, splits=["train"]).notes[0]
    assert note.endswith(
        " in 20 classes of 1: " + ", ".join(f"{n:02} 1" for n in range(12)) + " and 8 more"
    )


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("squash", [[0, 85, 170, 255]] * 4),
        ("crop", [[85, 85, 170, 170]] * 4),
        ("pad", [[0] * 4, [0, 85, 170, 255], [0, 85, 170, 255], [0] * 4]),
    ],
)
def test_an_image_that_is_not_square_is_squashed_cropped_or_padded(tmp_path, fit, expected):
    # Four columns in a picture twice as wide as high; on its side, turned upright by EXIF data.
    columns = np.repeat(np.repeat([[0, 85, 170, 255]], 4, axis=0), 2, axis=1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "train" / "a" / "0.png", columns)
    save(tmp_path / "train" / "a" / "1.png", np.rot90(columns), exif=exif)
    images = load(tmp_path, splits=["train"], image_size=4, fit=fit).splits["train"].images
    for image in images:
        assert np.abs(image[..., 0].astype(int) - expected).max() <= 25


def test_how_images_fit_tells_decoded_copies_apart(folder, tmp_path):
    options = {"splits": ["train"], "cache_dir": tmp_path / "cache", "memory_limit": 10}
    crop, pad = (load(folder, image_size=4, fit=fit, **options) for fit in ("crop", "pad"))
    assert not np.array_equal(crop.splits["train"].images, pad.splits["train"].images)


def test_a_large_folder_is_decoded_once_until_a_file_changes(folder, tmp_path, monkeypatch):
    options = {"splits": ["train"], "cache_dir": tmp_path / "cache", "memory_limit": 100}
    first = load(folder, **options).splits["train"]
    assert isinstance(first.images, np.memmap)

    with monkeypatch.context() as patched:
        patched.setattr(folders.pixels, "to_array", None)
        second = load(folder, **options).splits["train"]
    np.testing.assert_array_equal(second.images, first.images)
    np.testing.assert_array_equal(second.labels, [0, 0, 1])

    save(folder / "train" / "cat" / "a.png", colour(9))
    os.utime(folder / "train" / "cat" / "a.png", (1, 1))
    third = load(folder, **options).splits["train"]
    np.testing.assert_array_equal(third.images[0], colour(9))
    resized = load(folder, image_size=3, **options).splits["train"]
    assert resized.images.shape == (3, 3, 3, 3)


def value_of(name):
    """A pixel value that tells the names of a test apart."""
    return zlib.crc32(name.encode()) % 256


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ["a/z.png", "a b/1.png", "a-b/0.png", "b/x/1.png", "b/x.png", "b/10.png"]),
        ("test", ["B/a.png", "a/B.png", "a/a.png"]),
        ("unlabelled", ["b.png", "a/c.png", "a.png"]),
        ("unlabeled", ["b.png", "a/c.png", "a.png"]),
        (".", ["b.png", "a/c.png", "a.png", "training/0.png"]),
    ],
)
def test_image_paths_are_in_the_order_of_the_images(tmp_path, split, names):
    assert len(set(map(value_of, names))) == len(names)
    for name in names:
        save(tmp_path / split / name, np.full((4, 4), value_of(name), np.uint8))
    save((tmp_path / split / names[0]).with_name(".hidden.png"), grey(0))
    (tmp_path / split / names[0]).with_name("notes.txt").touch()
    asked = "unlabelled" if split == "." else split
    paths = folders.image_paths(str(tmp_path), asked)
    prefix = "" if split == "." else f"{split}/"
    assert sorted(paths) == sorted(prefix + name for name in names)
    images = load(tmp_path, splits=[asked]).splits[asked].images
    found = [value_of(path.removeprefix(prefix)) for path in paths]
    np.testing.assert_array_equal(images[:, 0, 0, 0], found)


def test_image_paths_go_by_class_then_by_path(folder):
    assert folders.image_paths(str(folder), "train") == [
        "train/cat/a.png",
        "train/cat/b.png",
        "train/dog/a.png",
    ]


@pytest.mark.parametrize("asked", ["unlabeled", "unlabelled"])
def test_image_paths_take_either_spelling(folder, asked):
    paths = folders.image_paths(str(folder), asked)
    assert paths == ["unlabeled/deep/er/x.bmp", "unlabeled/y.png"]


def test_image_paths_of_what_is_not_there_are_a_user_error(folder):
    with pytest.raises(
        UserError, match=r"no split 'valid'; its splits are train, test, unlabelled"
    ):
        folders.image_paths(str(folder), "valid")
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        folders.image_paths(str(folder / "nowhere"), "train")
    write_folder(folder, "train/cat/train/0.png")
    with pytest.raises(UserError, match=r"cat/train has no class folders"):
        folders.image_paths(str(folder / "train" / "cat"), "train")


def test_folders_load_without_tensorflow_or_keras(folder):
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from semisup.data.datasets import load_dataset
load_dataset("folder:{folder}")
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""
    assert subprocess.check_output([sys.executable, "-c", script]).strip() == b"[]"
