"""Tests of trainings that hosts share: two processes of JAX that meet on the loopback address."""

import dataclasses
import os
import socket
import time

import keras
import numpy as np
import pytest
import running

from clustering.task import TASK as clustering
from scripts import processes
from semisup.config import TrainConfig
from semisup.data import sampling
from semisup.errors import UserError
from semisup.machine import hosts, joining
from semisup.machine.signals import StopSignals
from semisup.run.directory import RunDirectory
from semisup.run.evaluation import image_batches
from semisup.task import TASK as task

JAX = keras.backend.backend() == "jax"
needs_jax = pytest.mark.skipif(not JAX, reason="only JAX shares batches among hosts")
SETTINGS = {"max_steps": 20, "sup_per_batch": 4}


def commands(folder, logdir):
    """Flags of two hosts; the second one has a folder of its own in place of the run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for index, name in enumerate((logdir, f"{logdir}_of_host_1")):
        settings = running.config(folder, name, **SETTINGS)
        given = dataclasses.replace(settings, hosts=2, host_index=index, coordinator=address)
        yield running.arguments(given)


def without_gloo(text):
    """What was printed, without the lines of the library that connects processors.

    Its threads print in pieces, which may come between each other.
    """
    pieces = ("[Gloo]", "connected peer ranks")
    return [line for line in text.splitlines() if line and not any(map(line.__contains__, pieces))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hosts")
    running.tiny_network(path)
    return path


@pytest.fixture(scope="module")
def killed(folder):
    """What two hosts left, the second of which was killed after step 13, and the first's time."""
    ours, theirs = ([*flags, "--overwrite"] for flags in commands(folder, "shared"))
    first, second = running.start("train", *ours), running.start_and_kill(13, *theirs)
    lost = running.finish(second)
    started = time.monotonic()
    return running.finish(first), lost, time.monotonic() - started


@pytest.fixture(scope="module")
def resumed(killed, folder):
    """What the same commands left, and the run."""
    started = [running.start("train", *flags) for flags in commands(folder, "shared")]
    return *map(running.finish, started), RunDirectory(folder / "shared")


@needs_jax
@pytest.mark.backend
def test_a_host_that_is_killed_ends_the_other_with_one_line_within_a_minute(killed):
    (status, _, err), (killed_by, *_), seconds = killed
    assert killed_by == -running.KILL
    assert status == 1
    (line,) = err.splitlines()
    assert "host 0: another host has ended, or cannot be reached" in line
    assert seconds < 60


@needs_jax
@pytest.mark.backend
def test_the_same_commands_go_on_to_the_bits_of_one_process_with_as_many_devices(resumed, folder):
    (status, out, err), _, run = resumed
    assert (status, err) == (0, "")
    assert f"Resuming {run.path} at step 10." in out
    _, alone = running.train(folder, "alone", devices=2, **SETTINGS)
    assert running.losses(run) == running.losses(alone)
    running.assert_same_weights(run, alone, 20)


@needs_jax
@pytest.mark.backend
def test_other_hosts_write_nothing_and_print_nothing(resumed, folder):
    _, (status, out, err), run = resumed
    assert status == 0
    assert without_gloo(out) == without_gloo(err) == []
    assert not os.path.exists(f"{run.path}_of_host_1")
    assert run.read_json("results.json")["settings"]["hosts"] == 2


@pytest.mark.parametrize(
    ("hosts_in_all", "settings"),
    [(2, {}), (4, {"labelled_in_unlabelled": 0.25}), (3, {"classes_per_batch": 6})],
    ids=["", "labelled among unlabelled", "some classes"],
)
def test_the_shares_of_hosts_are_together_the_whole_batch(folder, hosts_in_all, settings):
    config = running.config(folder, "run", **{"unsup_batch_size": 24, **SETTINGS, **settings})
    batches = task.load_data(config).batches

    def batch(**share):
        inputs, labels = list(batches(3, **share).take(9).as_numpy_iterator())[-1]
        return *inputs, labels

    shares = [sampling.Share(host, hosts_in_all) for host in range(hosts_in_all)]
    parts = [batch(share=share) for share in shares]
    assert len({len(part[1]) for part in parts}) == 1
    for whole, *read in zip(batch(), *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(read), whole)


def test_hosts_evaluate_every_image_once_but_for_the_padding():
    images = np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1)

    def batches(share=sampling.WHOLE):
        return list(image_batches(images, 6, 2, share).as_numpy_iterator())

    shares = [batches(sampling.Share(host, 2)) for host in range(2)]
    for whole, *read in zip(batches(), *shares, strict=True):
        assert len({len(part) for part in read}) == 1
        np.testing.assert_array_equal(np.concatenate(read), whole)


def test_batches_have_to_be_divided_by_all_devices_of_all_hosts(monkeypatch):
    from semisup.machine import backend

    monkeypatch.setattr(backend, "sharing_devices", lambda: 6)
    monkeypatch.setattr(hosts, "count", lambda: 3)
    message = "--hosts=3 times --devices=2 do not divide the 20 unlabelled images of a batch"
    with pytest.raises(UserError, match=message):
        backend.check_batch({"labelled": np.zeros(6), "unlabelled": np.zeros(20)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host_index": 0}, "--host_index=0 has no effect without --hosts"),
        ({"coordinator": "a:1"}, "--coordinator=a:1 has no effect without --hosts"),
        ({"hosts": 2, "host_index": 2, "coordinator": "a:1"}, "--host_index=2 is not below"),
        ({"hosts": 2, "host_index": 1}, "--host_index and --coordinator belong together"),
        ({"hosts": 2, "coordinator": "a:1"}, "--host_index and --coordinator belong together"),
        ({"hosts": 0, "host_index": 0, "coordinator": "a:1"}, "--hosts=0 asks the cluster"),
        ({"hosts": 2, "host_index": 0, "coordinator": "a"}, "has to be ADDRESS:PORT"),
        ({"hosts": 2, "host_index": 0, "coordinator": "a:70000"}, "has to be ADDRESS:PORT"),
    ],
)
def test_flags_of_hosts_that_contradict_are_a_users_mistake(settings, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**settings)


@pytest.mark.skipif(JAX, reason="JAX shares batches among hosts")
def test_tensorflow_does_not_share_batches_among_hosts(tmp_path):
    with pytest.raises(UserError, match="--hosts=0 needs JAX: set KERAS_BACKEND=jax"):
        running.train(tmp_path, "run", hosts=0)
    assert not os.path.exists(tmp_path / "run")


@pytest.mark.parametrize(
    ("trained", "settings", "message"),
    [
        (clustering, {}, "--hosts=0: clustering trains on one host only"),
        (
            task,
            {"trainable": "head", "pretrained": True, "architecture": "resnet50"},
            "--trainable=head works on one host only",
        ),
        (task, {"cross_validate": 3}, "--cross_validate=3 works on one host only, not --hosts=0"),
        (task, {"weak_label_share": 0.5}, "--weak_label_share=0.5 works on one host only"),
    ],
)
def test_what_hosts_cannot_share_is_refused(monkeypatch, trained, settings, message):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    config = trained.config_class(hosts=0, **settings)
    with pytest.raises(UserError, match=message), joining.joined(config, trained):
        pytest.fail("it trains")


@pytest.mark.parametrize("other", [{"seed": 7}, {"devices": 2}, {"sup_per_class": 3}])
def test_hosts_with_other_settings_are_named_with_the_first_that_differs(monkeypatch, other):
    ((name, value),) = other.items()
    ours = TrainConfig(hosts=3, logdir="a")

    def everywhere(settings):
        return [settings, settings, {**settings, f"--{name}": value}]

    monkeypatch.setattr(hosts, "everywhere", everywhere)
    message = f"host 2 has --{name}={value}, host 0 has --{name}={getattr(ours, name)}"
    with pytest.raises(UserError, match=message):
        joining._check_settings(ours)


def test_hosts_with_other_data_are_named_with_what_differs(monkeypatch):
    records = [{"class_names": ["a"], "train_fingerprint": "1"}] * 2
    records.append({"class_names": ["a"], "train_fingerprint": "2"})
    monkeypatch.setattr(hosts, "count", lambda: 3)
    digests = []
    monkeypatch.setattr(hosts, "everywhere", lambda value: digests.append(value) or digests)
    joining.check_data(records[0])
    joining.check_data(records[1])
    with pytest.raises(UserError, match="host 2 has other data than host 0: train_fingerprint"):
        joining.check_data(records[2])


def test_a_signal_counts_once_the_hosts_agree(monkeypatch):
    monkeypatch.setattr(hosts, "everywhere", lambda value: [0, value, 0])
    with hosts.AgreedSignals() as signals:
        os.kill(os.getpid(), running.INT)
        assert not signals.received
        signals.agree()
        assert signals.received == running.INT


def test_a_single_process_asks_nobody():
    assert hosts.count() == 1
    assert hosts.share() == sampling.WHOLE
    assert hosts.from_first(lambda: [1]) == [1]
    assert type(hosts.stop_signals()) is StopSignals


def abort(text, status):
    """End as JAX ends a process, which may have come to an end by itself."""
    end = joining._End("host 1: gone")
    end.status = status
    end.catch_aborts()
    os.write(2, text)
    os.abort()


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        (b"F JAX distributed service detected\nfatal errors\n", None, (1, "", "host 1: gone\n")),
        (b"another reason\n", None, (1, "", "another reason\n")),
        (b"F JAX distributed service\n", 2, (2, "", "")),
    ],
)
def test_where_jax_aborts_a_line_is_said_and_the_status_is_that_of_an_error(text, status, found):
    assert running.finish(processes.Process(abort, text, status)) == found
