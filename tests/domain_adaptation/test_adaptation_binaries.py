"""Tests of the binaries as a user runs them: train, kill, resume, evaluate, compare."""

import os
import shutil
import sys
from unittest import mock

import numpy as np
import pytest
import running

from domain_adaptation import load_model, load_run
from domain_adaptation.reporting import AdaptationReporter, coverage, domain_discrepancy
from domain_adaptation.task import TASK as task
from semisup.errors import UserError
from semisup.run import evaluation

SETTINGS = {
    "walker_weight_envelope_delay": 10,
    "visit_weight_envelope_delay": 10,
    "discrepancy_weight_envelope_delay": 10,
}


def train(folder, logdir, **settings):
    status, run = running.train(folder, logdir, task=task, **{**SETTINGS, **settings})
    assert status == 0
    return run


def call(binary, *flags):
    return running.call(binary, *flags, package="domain_adaptation")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """An adaptation by association, its bounds, one by MMD, and one of other data."""
    folder = tmp_path_factory.mktemp("runs")
    found = {
        "association": train(folder, "association"),
        "source_only": train(folder, "source_only", similarity="none", max_steps=2),
        "target_only": train(folder, "target_only", target_only=True, max_steps=2),
        "mmd": train(folder, "mmd", similarity="mmd", mmd_estimator="linear"),
    }
    found["other"] = running.copy(found["source_only"], folder, "other")
    saved = found["other"].read_config()
    saved["settings"] |= {"dataset": "optdigits", "target_dataset": "mnist_5k"}
    found["other"].write_json("config.json", saved)
    found["resized"] = running.copy(found["source_only"], folder, "resized")
    saved = found["resized"].read_config()
    saved["settings"] |= {"new_size": 20}
    found["resized"].write_json("config.json", saved)
    record = found["resized"].read_record() | {"target_test_fingerprint": 16 * "0"}
    found["resized"].write_json("data.json", record)
    return found


@pytest.mark.parametrize("name", ["association", "mmd"])
def test_a_killed_adaptation_resumes_to_the_same_bits(runs, tmp_path, name, capsys):
    run = running.cut(runs[name], tmp_path, 30)
    assert running.resume(run, task) == 0
    assert "at step 30" in capsys.readouterr().out
    running.assert_same_weights(runs[name], run, 60)
    assert running.losses(runs[name]) == running.losses(run)


def test_evaluation_measures_both_domains_the_coverage_and_draws_figures(runs, quick_tsne):
    run = runs["association"]
    status, out, err = call(
        "eval",
        f"--logdir={run.path}",
        f"--source_only={runs['source_only'].path}",
        f"--target_only={runs['target_only'].path}",
        f"--compare={runs['mmd'].path}",
        "--figures",
        "--projector",
    )
    assert status == 0, err
    assert os.path.exists(run.file("eval", "embeddings.tsv"))
    content = run.read_json("evaluation.json")
    assert content["source"]["images"] == 1000
    assert content["target"]["images"] == 359
    errors = {name: run.read_json("results.json")["test_error"] for name, run in runs.items()}
    assert content["error"] == content["target"]["error"]
    assert content["error"] == pytest.approx(errors["association"])
    assert content["source_only_error"] == pytest.approx(errors["source_only"])
    assert content["coverage"] == pytest.approx(
        coverage(errors["association"], errors["source_only"], errors["target_only"])
    )
    assert content["squared_mmd"]["domains"] > content["squared_mmd"]["shuffled"] > 0
    assert f"coverage of the gap between them: {100 * content['coverage']:.2f} %" in out
    for name in ("domains", "associations", "confusion", "neighbours", "tsne"):
        assert (run.file("figures", f"{name}.png")) in out


@pytest.mark.parametrize(("error", "expected"), [(0.2, 0.75), (0.1, 1.0), (0.5, 0.0), (0.54, -0.1)])
def test_coverage_is_the_closed_share_of_the_gap(error, expected):
    assert coverage(error, source_only=0.5, target_only=0.1) == pytest.approx(expected)


def test_coverage_of_no_gap_is_none():
    assert coverage(0.3, 0.2, 0.2) is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source_only={target_only}"], "is a run of another kind: target only"),
        (["--target_only={source_only}"], "is a run of another kind: source only"),
        (["--compare={mmd}"], "has no effect without --figures"),
        (["--source_only=nowhere"], "nowhere holds no run"),
        (["--source_only={other}"], "has --dataset=optdigits, not mnist_5k as --logdir"),
        (
            ["--source_only={resized}"],
            "has other target test images than --logdir: --new_size=20, not 0",
        ),
        (["--dataset=mnist"], "--dataset=mnist: give folder:PATH"),
    ],
)
def test_wrong_comparisons_exit_2_with_one_line(runs, flags, message):
    paths = {name: run.path for name, run in runs.items()}
    flags = [flag.format(**paths) for flag in flags]
    status, _, err = call("eval", f"--logdir={runs['association'].path}", *flags)
    assert status == 2
    assert len(err.splitlines()) == 1, err
    assert message in err


def test_the_exported_model_predicts_like_the_run(runs):
    model, _ = load_run(runs["mmd"].path)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    exported = load_model(runs["mmd"].file("model.keras"))
    np.testing.assert_allclose(
        exported.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )


def test_a_bound_may_have_been_measured_on_another_split(runs, tmp_path):
    bound = running.copy(runs["source_only"], tmp_path, "bound")
    saved = bound.read_config()
    saved["settings"] |= {"target_test_split": "train"}
    bound.write_json("config.json", saved)
    bound.write_json("data.json", bound.read_record() | {"target_test_fingerprint": 16 * "0"})
    settings = mock.Mock(
        logdir=runs["association"].path,
        other_logdirs=[bound.path],
        bound_logdirs={"source_only": bound.path},
    )
    config = runs["association"].read_settings(task.config_class)
    AdaptationReporter.check(settings, config)


def test_an_unfinished_run_is_no_bound(runs, tmp_path):
    unfinished = tmp_path / "unfinished"
    shutil.copytree(runs["source_only"].path, unfinished)
    (unfinished / "results.json").unlink()
    status, _, err = call(
        "eval", f"--logdir={runs['association'].path}", f"--source_only={unfinished}"
    )
    assert status == 2
    assert "unfinished is not complete" in err


def test_shuffled_domains_have_the_discrepancy_of_one_domain():
    generator = np.random.default_rng(0)
    source, same = generator.normal(size=(2, 200, 8)).astype("float32")
    alike = domain_discrepancy(source, same, seed=0)
    assert alike["domains"] == pytest.approx(alike["shuffled"], rel=0.3)
    apart = domain_discrepancy(source, same + 3, seed=0)
    assert apart["domains"] > 10 * apart["shuffled"]


def test_a_run_of_the_other_task_is_refused_by_name(runs, tmp_path):
    logdir = runs["association"].path
    status, _, err = running.call("eval", f"--logdir={logdir}")
    assert status == 2
    assert "holds a run of domain_adaptation, not of semisup" in err
    status, _, err = running.call("train", f"--logdir={logdir}")
    assert status == 2
    assert "holds a run of domain_adaptation, not of semisup" in err


def test_a_loaded_run_predicts_with_the_error_that_it_recorded(runs):
    model, config = load_run(runs["mmd"].path)
    data = task.load_data(config)
    predicted = evaluation.Predictor(model).labels(data.target_test.images)
    error = (predicted != data.target_test.labels).mean()
    assert error == pytest.approx(runs["mmd"].read_json("results.json")["test_error"])


def test_an_adaptation_begins_with_the_weights_of_another_run(whole, tmp_path):
    settings = {"initial_run": whole.path, "max_steps": 2, "learning_rate": 1e-12}
    settings |= {"minimum_learning_rate": 0, **dict.fromkeys(SETTINGS, 0)}
    second = train(tmp_path, "second", **settings)
    trained, begun = running.weights(whole, 60), running.weights(second, 2)
    kernels = [name for name in trained if name.startswith("model/") and "/kernel" in name]
    assert len(kernels) == 3, "two layers of the network, and the classifier"
    assert len(second.read_record()["initial_model"]) == 16
    for name in kernels:
        assert abs(trained[name] - begun[name]).max() < 1e-6


def test_an_initial_run_that_does_not_fit_exits_2_and_leaves_no_run(whole, tmp_path):
    config = running.config(tmp_path, "run", task, initial_run=str(tmp_path / "none"), **SETTINGS)
    status, _, err = call("train", *running.arguments(config))
    assert status == 2
    assert "holds no model.keras: is its training complete?" in err
    other = running.config(
        tmp_path, "run", task, initial_run=whole.path, architecture="mnist_model", **SETTINGS
    )
    status, _, err = call("train", *running.arguments(other))
    assert status == 2
    assert f"--initial_run={whole.path} does not fit this model" in err
    assert not running.RunDirectory(other.logdir).read_config()


def test_a_missing_run_cannot_be_loaded(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        load_run(tmp_path)


def test_help_imports_nothing_heavy():
    import subprocess

    code = (
        "import sys\n"
        "from domain_adaptation import train\n"
        "sys.argv = ['train', '--help']\n"
        "try:\n    train.main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'keras', 'tensorflow', 'jax', 'numpy'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--target_dataset=optdigits" in result.stdout
