"""Tests of decoded splits: in memory or memory-mapped, whole or rebuilt, never half-written."""

import dataclasses
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semisup.data import cache
from semisup.errors import UserError

SHAPE = (7, 4, 5, 3)


def synthetic(shape=SHAPE, key="v1", block=3, before_block=lambda start: None):
    """A source whose images are reproducible noise and whose labels count modulo 10."""

    def blocks():
        for start in range(0, shape[0], block):
            before_block(start)
            rows = range(start, min(start + block, shape[0]))
            noise = [np.random.default_rng(i).integers(0, 256, shape[1:], np.uint8) for i in rows]
            yield np.stack(noise), np.array(rows) % 10

    return cache.Source("noise-train", key, shape, blocks)


def undecodable(source):
    def blocks():
        pytest.fail("decoded again")
        yield

    return dataclasses.replace(source, blocks=blocks)


def expected_images(shape=SHAPE):
    rows = [np.random.default_rng(i).integers(0, 256, shape[1:], np.uint8) for i in range(shape[0])]
    return np.stack(rows)


def read_mapped(source, folder):
    return cache.read(source, cache_dir=folder, memory_limit=0)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def images_file(folder):
    (path,) = [path for path in folder.glob("*.npy") if ".labels" not in path.name]
    return path


def test_a_small_split_is_held_in_memory_and_writes_nothing(tmp_path):
    images, labels = cache.read(synthetic(), cache_dir=tmp_path)
    assert not isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, expected_images())
    np.testing.assert_array_equal(labels, np.arange(7))
    assert labels.dtype == np.int32
    assert files(tmp_path) == []


@pytest.mark.parametrize(("limit", "mapped"), [(7 * 60, False), (7 * 60 - 1, True)])
def test_the_limit_is_the_size_of_the_decoded_images_in_bytes(tmp_path, limit, mapped):
    images, _ = cache.read(synthetic(), cache_dir=tmp_path, memory_limit=limit)
    assert isinstance(images, np.memmap) == mapped


def test_a_large_split_is_a_read_only_memory_map_with_the_same_content(tmp_path):
    images, labels = read_mapped(synthetic(), tmp_path)
    assert isinstance(images, np.memmap)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(images, expected_images())
    np.testing.assert_array_equal(labels, np.arange(7))
    with pytest.raises(ValueError):
        images[0] = 0


def test_a_second_read_does_not_decode(tmp_path):
    read_mapped(synthetic(), tmp_path)
    images, labels = read_mapped(undecodable(synthetic()), tmp_path)
    np.testing.assert_array_equal(images, expected_images())
    np.testing.assert_array_equal(labels, np.arange(7))


@pytest.mark.parametrize(
    "change", [{"key": "v2"}, {"shape": (8, 4, 5, 3)}, {"shape": (7, 4, 5, 1)}]
)
def test_another_source_does_not_take_the_cached_files(tmp_path, change):
    read_mapped(synthetic(), tmp_path)
    images, _ = read_mapped(synthetic(**change), tmp_path)
    np.testing.assert_array_equal(images, expected_images(change.get("shape", SHAPE)))
    assert len(files(tmp_path)) == 4


def test_labels_are_none_where_no_example_has_one(tmp_path):
    def blocks():
        for images, labels in synthetic().blocks():
            yield images, np.full_like(labels, cache.UNLABELLED)

    source = dataclasses.replace(synthetic(), blocks=blocks)
    assert cache.read(source)[1] is None
    assert read_mapped(source, tmp_path)[1] is None
    assert read_mapped(undecodable(source), tmp_path)[1] is None


def write_huge_header(path):
    """An array of a petabyte, of which nothing is there."""
    with open(path, "wb") as file:
        header = {"descr": "<i4", "fortran_order": False, "shape": (2**48,)}
        np.lib.format.write_array_header_1_0(file, header)


DAMAGES = {
    "huge": write_huge_header,
    "short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "header only": lambda path: os.truncate(path, 20),
    "empty": lambda path: os.truncate(path, 0),
    "not npy": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(600)),
    "floats": lambda path: np.save(path, np.load(path).astype(np.float32)),
    "misshapen": lambda path: np.save(path, np.load(path)[:, None]),
    "missing": lambda path: path.unlink(),
}


def assert_is_rebuilt_after(damage, path, folder):
    damage(path)
    images, labels = read_mapped(synthetic(), folder)
    np.testing.assert_array_equal(images, expected_images())
    np.testing.assert_array_equal(labels, np.arange(7))
    read_mapped(undecodable(synthetic()), folder)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_labels_are_rebuilt(tmp_path, damage):
    read_mapped(synthetic(), tmp_path)
    assert_is_rebuilt_after(damage, images_file(tmp_path).with_suffix(".labels.npy"), tmp_path)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_images_are_rebuilt(tmp_path, damage):
    read_mapped(synthetic(), tmp_path)
    assert_is_rebuilt_after(damage, images_file(tmp_path), tmp_path)


def test_images_that_are_too_long_are_rebuilt(tmp_path):
    read_mapped(synthetic(), tmp_path)
    path = images_file(tmp_path)
    size = path.stat().st_size
    assert_is_rebuilt_after(lambda path: os.truncate(path, size + 1), path, tmp_path)
    assert path.stat().st_size == size


def test_an_exception_while_decoding_leaves_no_file(tmp_path):
    def interrupt(start):
        if start:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_mapped(synthetic(before_block=interrupt), tmp_path)
    assert files(tmp_path) == []


def test_a_killed_writer_leaves_nothing_that_is_taken_as_whole(tmp_path):
    script = f"""
import sys, time
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import test_cache
def wait(start):
    if start:
        print("writing", flush=True)
        time.sleep(60)
test_cache.read_mapped(test_cache.synthetic(before_block=wait), test_cache.Path({str(tmp_path)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    (leftover,) = files(tmp_path)

    images, _ = read_mapped(synthetic(), tmp_path)
    np.testing.assert_array_equal(images, expected_images())
    assert leftover not in files(tmp_path)


def test_writers_at_the_same_time_both_get_whole_images(tmp_path):
    inner = []

    def other_writer(start):
        if start == 3:
            inner.append(read_mapped(synthetic(), tmp_path)[0])

    outer, _ = read_mapped(synthetic(before_block=other_writer), tmp_path)
    np.testing.assert_array_equal(inner[0], expected_images())
    np.testing.assert_array_equal(outer, expected_images())
    assert len(files(tmp_path)) == 2


def test_a_disk_with_too_little_room_is_a_user_error_before_decoding(tmp_path, monkeypatch):
    usage = cache.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"No space left.*--cache_dir"):
        read_mapped(undecodable(synthetic()), tmp_path)
    assert files(tmp_path) == []


def test_a_disk_that_fills_up_is_a_user_error_and_leaves_no_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(UserError, match=rf"{re.escape(str(tmp_path))}: No space left on device"):
        read_mapped(synthetic(), tmp_path)
    assert files(tmp_path) == []


def test_a_cache_folder_that_cannot_be_made_is_a_user_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--cache_dir"):
        read_mapped(synthetic(), tmp_path / "file")


@pytest.mark.parametrize("limit", [0, 2**30])
@pytest.mark.parametrize("shape", [(6, 4, 5, 3), (8, 4, 5, 3), (7, 4, 4, 3)])
def test_a_source_that_breaks_its_promise_is_a_user_error(tmp_path, limit, shape):
    source = dataclasses.replace(synthetic(), shape=shape)
    with pytest.raises(UserError, match="noise-train: the data do not agree"):
        cache.read(source, cache_dir=tmp_path, memory_limit=limit)
    assert files(tmp_path) == []


def test_the_default_folder_honours_xdg_cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path / "semisup"
    cache.read(synthetic(), memory_limit=0)
    assert len(files(tmp_path / "semisup")) == 2
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path / ".cache" / "semisup"


def anonymous_memory():
    """Private memory of this process in bytes, without what files back."""
    (line,) = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("RssAnon")
    ]
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")
def test_a_hundred_thousand_images_need_little_private_memory(tmp_path):
    shape = (100_000, 96, 96, 3)
    peaks = []

    def blocks():
        for start in range(0, shape[0], 100):
            values = (np.arange(start, start + 100) % 251).astype(np.uint8)
            yield np.tile(values[:, None, None, None], (1, *shape[1:])), values % 10
            peaks.append(anonymous_memory())

    before = anonymous_memory()
    images, _ = cache.read(cache.Source("many", "", shape, blocks), cache_dir=tmp_path)
    assert isinstance(images, np.memmap)
    for start in range(0, shape[0], 1000):
        rows = images[np.random.default_rng(start).integers(0, shape[0], 100)]
        assert rows.shape == (100, *shape[1:])
        peaks.append(anonymous_memory())
    assert images[99_999, 95, 95, 2] == 99_999 % 251
    print(f"private memory: {(max(peaks) - before) / 2**20:.0f} MiB more than before")
    assert max(peaks) - before < 0.2 * 2**30


@pytest.mark.parametrize("labels", [False, True])
def test_a_pipe_in_place_of_a_cached_file_is_refused_at_once(tmp_path, labels):
    read_mapped(synthetic(), tmp_path)
    path = images_file(tmp_path).with_suffix(".labels.npy" if labels else ".npy")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="no regular file"):
        read_mapped(synthetic(), tmp_path)
