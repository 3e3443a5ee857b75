"""Tests of writing files whole or not at all."""

import errno
import os
import stat

import pytest

from semisup.files import replacing, writing


def test_a_written_file_replaces_the_former_one_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("former")
    writing.write_json(path, {"step": 3})
    assert path.read_text() == '{\n "step": 3\n}\n'
    assert os.listdir(tmp_path) == ["results.json"]


def test_an_error_while_writing_leaves_the_former_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("former")

    def write_half():
        with replacing.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "former"
    assert os.listdir(tmp_path) == ["results.json"]


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "model.keras"
    with replacing.replacing(path) as one, replacing.replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert one != other
    assert one.suffix == other.suffix == ".keras"
    assert path.read_text() == "one"


def test_a_link_is_replaced_and_what_it_points_to_stays_as_it_was(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to("precious")
    writing.write_text(tmp_path / "link", "new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "link").is_symlink()


def test_a_link_in_place_of_the_temporary_file_is_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr(replacing.secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".results.json.{'0' * 16}.tmp.json").symlink_to("precious")
    with pytest.raises(FileExistsError):
        writing.write_text(tmp_path / "results.json", "new")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_file_that_is_not_regular_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        writing.write_text(tmp_path / "pipe", "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_written_files_have_the_permissions_that_the_process_gives(tmp_path):
    mask = os.umask(0o027)
    try:
        writing.write_text(tmp_path / "results.json", "text")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "results.json").stat().st_mode) == 0o640


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    with replacing.replacing(tmp_path / "step_00000004.npz") as temporary:
        left = temporary.name
    names = ["step_00000004.npz", ".lock", "notes.tmp"]
    for name in [left, *names]:
        (tmp_path / name).write_text("")
    # Nobody's temporary files, though they have the name of some.
    link, folder = (f".a.{digit * 16}.tmp" for digit in "01")
    (tmp_path / link).symlink_to(tmp_path / "notes.tmp")
    (tmp_path / folder).mkdir()
    replacing.remove_temporary(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, link, folder])


def test_what_is_being_written_is_not_taken_for_what_a_kill_left(tmp_path):
    with replacing.replacing(tmp_path / "images.npy") as temporary:
        temporary.write_text("gigabytes")
        replacing.remove_temporary(tmp_path)
        assert temporary.exists()
    assert (tmp_path / "images.npy").read_text() == "gigabytes"


def test_a_full_disk_and_a_folder_that_cannot_be_written_name_the_file(tmp_path):
    path = tmp_path / "images.npy"
    with pytest.raises(OSError) as caught, replacing.replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError) as caught:
        writing.write_text(tmp_path / "missing" / "results.json", "text")
    assert caught.value.filename == str(tmp_path / "missing" / "results.json")


@pytest.mark.parametrize("name", ["a" * 250 + ".png", "\u65e5" * 80 + ".png", "a." + "b" * 253])
def test_a_file_may_have_any_name_that_the_file_system_takes(tmp_path, name):
    for overwrites in (False, True):
        with replacing.replacing(tmp_path / name, overwrites) as temporary:
            assert replacing.is_temporary(temporary.name)
            temporary.write_text("whole")
    assert os.listdir(tmp_path) == [name]


def test_a_new_file_takes_no_name_that_is_taken(tmp_path):
    path = tmp_path / "cat.png"
    (tmp_path / "link").symlink_to("nothing")
    with replacing.replacing(path, overwrites=False) as temporary:
        temporary.write_text("first")
    for taken in (path, tmp_path / "link"):
        with pytest.raises(FileExistsError), replacing.replacing(taken, overwrites=False):
            pass
    with pytest.raises(FileExistsError), replacing.replacing(tmp_path / "a", overwrites=False):
        # Meanwhile, somebody else takes the name.
        (tmp_path / "a").touch()
    assert path.read_text() == "first"
    assert sorted(os.listdir(tmp_path)) == ["a", "cat.png", "link"]
