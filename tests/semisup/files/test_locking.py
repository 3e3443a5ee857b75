"""Tests of locks."""

import os

import pytest

from semisup.files import locking


def test_a_refusal_leaves_no_lock_and_no_folder(tmp_path):
    with pytest.raises(RuntimeError), locking.locked(tmp_path / "a" / "b" / ".lock"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_refusal_in_a_folder_that_was_there_leaves_it_as_it_was(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(RuntimeError), locking.locked(tmp_path / ".lock"):
        raise RuntimeError
    assert os.listdir(tmp_path) == ["mine"]


def test_what_was_written_before_an_error_stays(tmp_path):
    def write_and_fail():
        with locking.locked(tmp_path / "a" / ".lock"):
            (tmp_path / "a" / "checkpoint").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert os.listdir(tmp_path / "a") == ["checkpoint"]


def test_a_lock_is_held_by_one_and_seen_by_others(tmp_path):
    path = tmp_path / ".lock"
    assert not locking.is_locked(path)
    with locking.locked(path):
        assert locking.is_locked(path)
        with pytest.raises(BlockingIOError), locking.locked(path, patience=0):
            pass
        assert locking.is_locked(path)
    assert not locking.is_locked(path)


def test_a_lock_whose_file_was_removed_meanwhile_is_not_the_lock(tmp_path, monkeypatch):
    path, take, taken = tmp_path / ".lock", locking._take, []

    def remove_first(descriptor, kind):
        if not taken:
            path.unlink()
        taken.append(descriptor)
        return take(descriptor, kind)

    monkeypatch.setattr(locking, "_take", remove_first)
    with locking.locked(path):
        assert path.exists()
    assert len(taken) == 2


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_no_lock_and_keeps_nobody_waiting(tmp_path, kind):
    path = tmp_path / ".lock"
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda path: os.symlink("missing", path)}[kind](
        path
    )
    with pytest.raises(OSError), locking.locked(path, patience=0):
        pass
    assert not locking.is_locked(path)
    assert os.listdir(tmp_path) == [".lock"]
