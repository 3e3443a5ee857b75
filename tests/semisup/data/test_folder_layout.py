"""Tests of how folders of images may be laid out."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from semisup.data import folder_layout, folders
from semisup.data.datasets import load_dataset, split_names
from semisup.errors import UserError


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.new("L", (4, 4)).save(path)
        else:
            path.touch()


def found(root, **options):
    """By split, the paths below the folder and their classes."""
    layout = folder_layout.find(str(root), **options)
    return {
        split: [
            (str(file.relative_to(root)), layout.class_names[label] if label >= 0 else None)
            for file, label in zip(files, layout.labels[split], strict=True)
        ]
        for split, files in layout.files.items()
    }


def notes(root, **options):
    return folder_layout.find(str(root), **options).notes


@pytest.mark.parametrize(
    ("train", "test", "unlabelled"),
    [
        ("Train", "Test", "Unlabelled"),
        ("TRAIN", "test", "UNLABELED"),
        ("tRain", "TEST", "unlabeled"),
    ],
)
def test_names_of_splits_may_have_any_case(tmp_path, train, test, unlabelled):
    write(tmp_path, f"{train}/a/0.png", f"{test}/a/1.png", f"{unlabelled}/2.png")
    assert found(tmp_path) == {
        "train": [(f"{train}/a/0.png", "a")],
        "test": [(f"{test}/a/1.png", "a")],
        "unlabelled": [(f"{unlabelled}/2.png", None)],
    }
    assert notes(tmp_path) == ()
    assert folders.image_paths(str(tmp_path), "test") == [f"{test}/a/1.png"]


@pytest.mark.parametrize(
    ("one", "other", "split"),
    [
        ("Train", "train", "train"),
        ("TEST", "test", "test"),
        ("val", "validation", "validation"),
        ("unlabeled", "unlabelled", "unlabelled"),
    ],
)
def test_two_folders_of_one_split_are_a_user_error(tmp_path, one, other, split):
    write(tmp_path, f"{one}/a/0.png", f"{other}/a/1.png")
    with pytest.raises(UserError, match=rf"the folders {one} and {other}, and both are {split}: "):
        folder_layout.find(str(tmp_path))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "VALID"])
def test_validation_images_are_the_test_images_where_there_are_none(tmp_path, name):
    write(tmp_path, "train/a/0.png", "train/b/0.png", f"{name}/b/1.png")
    assert found(tmp_path)["test"] == [(f"{name}/b/1.png", "b")]
    assert folders.image_paths(str(tmp_path), "test") == [f"{name}/b/1.png"]
    (note,) = notes(tmp_path)
    assert note.endswith(f"no test folder: {name} holds the test images")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("asked", ["val", "valid", "validation"])
def test_validation_images_beside_test_images_are_a_split_that_may_be_named(tmp_path, name, asked):
    write(tmp_path, "train/a/0.png", f"{name}/a/1.png", "test/a/2.png")
    assert found(tmp_path)["test"] == [("test/a/2.png", "a")]
    assert split_names(f"folder:{tmp_path}") == ("train", "test", "validation")
    data = load_dataset(f"folder:{tmp_path}", splits=[asked])
    np.testing.assert_array_equal(data.splits[asked].labels, [0])
    assert folders.image_paths(str(tmp_path), asked) == [f"{name}/a/1.png"]
    (note,) = data.notes
    assert f"{name} is the split 'validation', which is not read unless a flag names it" in note


def test_class_folders_at_the_top_are_to_train_with_where_classes_matter(tmp_path):
    write(tmp_path, "dog/1.png", "cat/deep/er.png", "cat/0.png")
    assert found(tmp_path) == {
        "train": [("cat/0.png", "cat"), ("cat/deep/er.png", "cat"), ("dog/1.png", "dog")]
    }
    assert folders.image_paths(str(tmp_path), "train") == [
        "cat/0.png",
        "cat/deep/er.png",
        "dog/1.png",
    ]


def test_class_folders_at_the_top_are_unlabelled_where_classes_do_not_matter(tmp_path):
    write(tmp_path, "dog/1.png", "cat/0.png")
    unlabelled = [("cat/0.png", None), ("dog/1.png", None)]
    assert found(tmp_path, labelled=False) == {"unlabelled": unlabelled}
    assert split_names(f"folder:{tmp_path}", labelled=False) == ("unlabelled",)
    assert folders.image_paths(str(tmp_path), "unlabelled") == ["cat/0.png", "dog/1.png"]


@pytest.mark.parametrize("beside", [["a.png", "cat/0.png", "dog/0.png"], ["cat/0.png"]])
def test_images_beside_folders_or_a_single_folder_are_no_classes(tmp_path, beside):
    write(tmp_path, *beside)
    assert list(found(tmp_path)) == ["unlabelled"]


@pytest.mark.parametrize("test", ["Cat", "CAT"])
def test_a_class_of_the_test_images_may_differ_in_case(tmp_path, test):
    write(tmp_path, "train/cat/0.png", "train/dog/0.png", f"test/{test}/1.png")
    assert found(tmp_path)["test"] == [(f"test/{test}/1.png", "cat")]


def test_a_class_of_the_test_images_may_encode_accents_otherwise(tmp_path):
    one, other = (unicodedata.normalize(form, "épée") for form in ("NFC", "NFD"))
    write(tmp_path, f"train/{one}/0.png", f"test/{other}/1.png")
    assert found(tmp_path)["test"] == [(f"test/{other}/1.png", one)]


def test_a_class_that_may_be_either_of_two_is_a_user_error(tmp_path):
    write(tmp_path, "train/cat/0.png", "train/Cat/0.png", "test/CAT/1.png")
    with pytest.raises(UserError, match=r"test/CAT: there is no class 'CAT'"):
        folder_layout.find(str(tmp_path))


def test_skipped_files_are_counted_with_an_example(tmp_path):
    write(tmp_path, "train/a/0.png", "train/a/z.heic", "train/a/deep/b.txt", "train/labels.csv")
    write(tmp_path, "train/a/.hidden", "README.txt", "__MACOSX/train/a/0.png")
    (note,) = notes(tmp_path)
    assert note == f"{tmp_path}: 3 files were skipped, such as train/a/deep/b.txt"


def test_one_skipped_file_is_named(tmp_path):
    write(tmp_path, "0.png", "Thumbs.db")
    assert notes(tmp_path) == (f"{tmp_path}: 1 file was skipped, such as Thumbs.db",)


def test_images_outside_of_class_folders_are_skipped_files_too(tmp_path):
    write(tmp_path, "train/a/0.png", "train/lost.png")
    assert "1 file was skipped, such as train/lost.png" in notes(tmp_path)[0]


def test_folders_beside_those_of_splits_are_named(tmp_path):
    write(tmp_path, "train/a/0.png", "extra/a/0.png", "raw/0.png")
    assert notes(tmp_path) == (f"{tmp_path}: not read: the folders extra, raw",)


def test_where_all_is_as_it_should_be_there_is_no_note(tmp_path):
    write(tmp_path, "train/a/0.png", "test/a/0.png", "unlabelled/0.png")
    assert notes(tmp_path) == ()


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["b/0.png", "a/0.png"], "holds the folders a, b; it should hold train/cat/1.jpg, "),
        (["0.png", "1.png", "x.txt"], "holds 2 images and 1 other file; it should"),
        ([f"{i}/0.png" for i in range(7)], "holds the folders 0, 1, 2, 3, 4 and 2 more; it should"),
    ],
)
def test_a_message_on_a_missing_split_says_what_is_there_and_what_should_be(
    tmp_path, names, layout
):
    write(tmp_path, *names)
    with pytest.raises(UserError, match=r"has no split 'test'; its splits are .*; .*") as error:
        load_dataset(f"folder:{tmp_path}", splits=["test"])
    assert f"{tmp_path} {layout}" in str(error.value)


def test_class_names_are_shown_in_one_line_of_valid_unicode(tmp_path):
    for name in (b"d\xf6g", b"new\nline", b"cat", "猫".encode()):
        folder = os.path.join(os.fsencode(tmp_path), b"train", name)
        os.makedirs(folder)
        Image.new("L", (4, 4)).save(os.fsdecode(os.path.join(folder, b"\xe9\x1b.png")))
    data = load_dataset(f"folder:{tmp_path}", splits=["train"])
    assert data.class_names == ("cat", r"d\xf6g", r"new\nline", "猫")
    paths = folders.image_paths(str(tmp_path), "train")
    assert paths == [rf"train/{name}/\xe9\x1b.png" for name in data.class_names]


def test_two_classes_that_are_shown_alike_are_a_user_error(tmp_path):
    write(tmp_path, "train/a\n/0.png", r"train/a\n/0.png")
    with pytest.raises(UserError, match=r"two class folders that are both shown as a\\n: rename"):
        folder_layout.find(str(tmp_path))
