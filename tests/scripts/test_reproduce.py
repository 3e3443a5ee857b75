"""Tests of the reproduction of tables: what is run, skipped, continued, and said of failures."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import running

from scripts import cells, executors, published, reproduce, reproduction, results
from scripts.rows import collected
from semisup.errors import TrainingError, UserError

ROOT = published.ROOT
SAVES_AT_THE_END = (
    "import signal, sys, time\n"
    "def end(*_): print('saved', flush=True); sys.exit(143)\n"
    "signal.signal(signal.SIGTERM, end); print('begun', flush=True); time.sleep(90)"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder for runs; results go into one of the test."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(reproduction, "_LOOK_SECONDS", 0.0)
    return tmp_path / "runs"


def config(folder, **settings):
    return reproduce.ReproduceConfig(
        **{"table": "cvpr17/1", "folder": str(folder), "max_steps": 20, **settings}
    )


class FakeExecutor:
    """Trains by writing down that it did; fails and stops as it is told."""

    def __init__(self, fails=(), interrupts=()):
        self.commands = []
        self.fails, self.interrupts = fails, interrupts
        self.stopped = None

    def submit(self, commands, log, cwd):
        self.commands.append(commands)
        return commands[0]

    def status(self, command):
        flags = dict(argument.lstrip("-").split("=", 1) for argument in command if "=" in argument)
        logdir, recipe, seed = flags["logdir"], flags["recipe"], int(flags["seed"])
        os.makedirs(os.path.dirname(logdir), exist_ok=True)
        if (recipe, seed) in self.interrupts:
            raise KeyboardInterrupt
        if (recipe, seed) in self.fails:
            with open(f"{logdir}.log", "w") as file:
                file.write("step 3\nsemisup-train: it diverged\n\n")
            return 1
        settings = published.settings(recipe, command[4:-1]).to_dict()
        os.makedirs(logdir)
        task = command[2].partition(".")[0]
        for name, content in (
            ("config.json", {"task": task, "settings": settings, "backend": "jax"}),
            ("metrics.jsonl", {"step": settings["max_steps"], "seconds": 1.0, "test_error": 0.5}),
        ):
            with open(os.path.join(logdir, name), "w") as file:
                json.dump(content, file)
        with open(os.path.join(logdir, "results.json"), "w") as file:
            result = {"command": "python -m semisup.train", "settings": settings}
            result |= {"step": settings["max_steps"], "test_error": 0.5}
            result |= {"wall_time_seconds": 60.0}
            result |= {"hardware": {"cores": 2, "accelerators": []}}
            json.dump(result, file)
        return 0

    def stop(self, handles):
        self.stopped = handles

    def close(self):
        pass


class HereExecutor(FakeExecutor):
    """Trains in this process, which spares the imports."""

    def submit(self, commands, log, cwd):
        self.commands.append(commands)
        for _, _, module, *flags in commands:
            package, _, binary = module.partition(".")
            status, out, err = running.call(binary, *flags, package=package)
            os.makedirs(os.path.dirname(log), exist_ok=True)
            with open(log, "a") as file:
                file.write(out + err)
            if status:
                break
        return status

    def status(self, handle):
        return handle


class BusyExecutor(FakeExecutor):
    """Never done."""

    def status(self, command):
        return None


def run(config, executor, further=()):
    reproduce.reproduce(config, further, executor)


def test_every_missing_cell_and_seed_is_run_once_and_collected(folder, capsys):
    executor = FakeExecutor()
    run(config(folder, seeds="0:2"), executor)
    assert len(executor.commands) == 6
    files = sorted(path.relative_to(results.RESULTS) for path in results.RESULTS.rglob("*.json"))
    assert [path.as_posix() for path in files] == [
        f"{recipe}/max_steps=20/seed{seed}.json"
        for recipe in ("mnist_100", "mnist_1000", "mnist_all")
        for seed in (0, 1)
    ]
    again = FakeExecutor()
    run(config(folder, seeds="0:3"), again)
    assert [command[0][-2] for command in again.commands] == [
        f"--logdir={folder}/{recipe}/max_steps=20/seed2"
        for recipe in ("mnist_100", "mnist_1000", "mnist_all")
    ]
    assert "complete, in results/" in capsys.readouterr().out


def test_a_failed_run_is_named_at_the_end_and_the_others_are_run(folder, capsys):
    executor = FakeExecutor(fails=[("mnist_100", 0)])
    with pytest.raises(TrainingError, match="1 failed: mnist_100 max_steps=20 seed 0"):
        run(config(folder), executor)
    assert len(executor.commands) == 3
    out = capsys.readouterr().out
    assert "FAILED mnist_100 max_steps=20 seed 0, status 1: semisup-train: it diverged" in out
    assert out.count("complete mnist") == 2


def test_an_interruption_stops_what_runs_and_the_same_call_goes_on(folder):
    executor = FakeExecutor(interrupts=[("mnist_1000", 0)])
    with pytest.raises(KeyboardInterrupt):
        run(config(folder, jobs=2), executor)
    assert executor.stopped
    again = FakeExecutor()
    run(config(folder, jobs=2), again)
    names = [command[0][3] for command in again.commands]
    assert names == ["--recipe=mnist_1000", "--recipe=mnist_all"]


def test_as_many_are_run_at_a_time_as_there_are_jobs(folder):
    most = 0

    class Slow(FakeExecutor):
        def submit(self, *arguments):
            nonlocal most
            self.waits = getattr(self, "waits", 0) + 1
            most = max(most, self.waits)
            return super().submit(*arguments)

        def status(self, command):
            self.waits -= 1
            return super().status(command)

    run(config(folder, seeds="0:3", jobs=2), Slow())
    assert most == 2


def test_cells_of_a_grid_have_their_own_flags_and_folders(folder):
    grid = reproduce.plan(config(folder, table="cvpr17/4", row="mnist_visit"), ())
    weights = [cell.config.visit_weight for cell in grid]
    assert weights == [0, 0.25, 0.5, 1]
    assert len({cell.run for cell in grid}) == 4
    # The recipe's own value is no change of it.
    assert grid[-1].changes == ["max_steps=20"]


@pytest.mark.parametrize(
    ("settings", "further", "message"),
    [
        ({"table": "cvpr17/9"}, (), "--table=cvpr17/9 is none of cvpr17/1, cvpr17/2"),
        ({"row": "mnist_10"}, (), "--row=mnist_10 is none of mnist_100, mnist_1000, mnist_all"),
        ({}, ("--max_stepps=3",), "mnist_100: Unknown command line flag 'max_stepps'"),
        ({}, ("--seed=3",), "--seed is not for all trainings"),
        ({}, ("--noprogress",), "--progress is not for all trainings"),
        ({}, ("--initial_run=runs/a",), "--initial_run is not for all trainings"),
        (
            {"table": "cvpr17/4"},
            ("--visit_weight=0.5",),
            "--visit_weight is not for all trainings: --visit_weight=0 makes a cell",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(folder, settings, further, message):
    executor = FakeExecutor()
    with pytest.raises(UserError) as error:
        run(config(folder, **settings), executor, further)
    assert message in str(error.value)
    assert not executor.commands


@pytest.mark.parametrize("seeds", ["", "a", "3:1", "-1", "1:2:3", "0:1000000000"])
def test_seeds_that_are_none_are_refused(folder, seeds):
    with pytest.raises(UserError, match="--seeds="):
        config(folder, seeds=seeds)


def test_a_dry_run_tells_the_cost_of_each_cell_and_runs_nothing(folder, capsys):
    executor = FakeExecutor()
    run(config(folder, dry_run=True, max_steps=0), executor)
    assert not executor.commands
    out = capsys.readouterr().out
    assert "mnist_1000 seed 0  10,000 steps, 20 minutes" in out
    assert "3 of 3 to run, " in out


def test_a_training_that_was_not_evaluated_is_evaluated_and_nothing_else(folder):
    settings = config(folder, table="adc18/1", row="mnist_vcnn", max_steps=1500, collect=False)
    (cell,) = reproduce.plan(settings, ())
    cell.run.mkdir(parents=True)
    result = {"step": 1500, "settings": cell.config.to_dict()}
    (cell.run / "results.json").write_text(json.dumps(result))
    assert cell.is_trained
    assert not cell.is_complete

    class Evaluating(FakeExecutor):
        def status(self, command):
            (cell.run / "evaluation.json").write_text(json.dumps({"step": 1500}))
            return 0

    executor = Evaluating()
    run(settings, executor)
    assert [command[2] for command in executor.commands[0]] == ["clustering.eval"]
    assert cell.is_complete


def test_a_run_of_what_the_recipe_was_before_is_not_the_cell(folder):
    (cell,) = reproduce.plan(config(folder, row="mnist_100", collect=False), ())
    run(config(folder, row="mnist_100", collect=False), FakeExecutor())
    assert cell.is_trained
    for name in ("results.json", "config.json"):
        content = json.loads((cell.run / name).read_text())
        content["settings"]["learning_rate"] *= 2
        (cell.run / name).write_text(json.dumps(content))
    executor = FakeExecutor()
    with pytest.raises(UserError, match=f"{cell.run} holds a run with other settings than mnist_1"):
        run(config(folder, row="mnist_100", collect=False), executor)
    assert not executor.commands
    # One that is older than a setting had its default.
    content["settings"] = {**cell.config.to_dict()}
    del content["settings"]["clip_norm"]
    (cell.run / "results.json").write_text(json.dumps({**content, "step": 20}))
    assert cell.is_trained
    del content["settings"]["max_steps"], content["settings"]["l2_weight"]
    del content["settings"]["unsup_batch_size"], content["settings"]["dataset"]
    (cell.run / "results.json").write_text(json.dumps({**content, "step": 20}))
    assert not cell.is_trained


def test_what_a_cell_goes_on_from_is_trained_before_it_with_the_same_seed(folder, capsys):
    settings = config(folder, table="cvpr17/5", seeds="3")
    further = ("--precision=bfloat16", "--target_dataset=usps")
    (cell,) = reproduce.plan(settings, further)
    first, train, evaluate = cell.commands()
    assert first[2:5] == ["semisup.train", "--recipe=svhn_pretraining", "--precision=bfloat16"]
    assert "--seed=3" in first
    assert "--max_steps=20" in first
    assert "--target_dataset=usps" not in first
    assert train[2] == "domain_adaptation.train"
    assert f"--initial_run={cell.beginning.run}" in train
    assert evaluate[2] == "domain_adaptation.eval"
    assert "initial_run.max_steps=20" in cell.changes
    reproduce.reproduce(dataclasses.replace(settings, dry_run=True), further)
    assert "; svhn_pretraining before it: 20 steps, 5 seconds" in capsys.readouterr().out
    shown = reproduction.Reproduction(settings, [cell], [cell], BusyExecutor(), io.StringIO())
    shown._start(shown.waiting.pop())
    assert "svhn_pretraining first, step 0 of 20" in shown._progress(cell)
    cell.beginning.run.mkdir(parents=True)
    result = {"step": 20, "settings": cell.beginning.config.to_dict()}
    (cell.beginning.run / "results.json").write_text(json.dumps(result))
    shown._look()
    assert "seed 3: step 0 of 20" in shown._progress(cell)


def test_results_of_other_data_are_no_reason_to_skip_nor_are_they_mixed(folder):
    executor = FakeExecutor()
    for note in ("", "MNIST: a part", "", "MNIST: a part"):
        run(config(folder, row="mnist_100", note=note), executor)
    assert len(executor.commands) == 2
    assert {path.parent.name for path in results.RESULTS.rglob("seed0.json")} == {
        "max_steps=20",
        "max_steps=20,data=MNIST",
    }


def test_costs_are_those_of_the_same_settings_and_precision(folder, capsys):
    (cell,) = reproduce.plan(config(folder, row="mnist_1000"), ())
    result = {"recipe": "mnist_1000", "median_steps_per_second": 2.0, "settings": {}}
    result |= {"changed": [], "note": "", "step": 10_000, "wall_time_seconds": 1.0}
    result |= {"hardware": {"cores": 2, "accelerators": []}}
    target = results.RESULTS / "mnist_1000"
    target.mkdir(parents=True)

    def cost(**changes):
        changed = {**result, **changes}
        changed["settings"] = {"precision": changed.pop("precision", "float32")}
        (target / "seed0.json").write_text(json.dumps(changed))
        return cells.seconds_per_step([cell])[cell.kind]

    promised = cost(changed=["unsup_batch_size=7"])
    assert promised != 0.5
    assert cost(precision="bfloat16") == promised
    assert cost(hardware={"cores": 2, "accelerators": ["GPU"]}) == promised
    assert cost(changed=["max_steps=5"]) == 0.5


def test_what_a_recipe_says_of_its_time_holds_for_the_cells_of_its_grid(folder):
    grid = config(folder, table="further/mnist_grid")
    found = cells.seconds_per_step(reproduce.plan(grid, ("--precision=bfloat16",)))
    assert len(found) == 9
    assert set(found.values()) == {20 * 60 / 10_000}
    found = cells.seconds_per_step(reproduce.plan(grid, ("--sup_per_batch=5",)))
    assert set(found.values()) == {None}


def test_an_adaptation_is_evaluated_against_its_bounds_of_the_same_seed(folder, monkeypatch):
    planned = reproduce.plan(config(folder, table="iccv17/2", max_steps=0), ())
    for cell in planned:
        if cell.recipe.startswith("mnist_to_mnist_m"):
            cell.run.mkdir(parents=True)
            result = {"step": 12000, "settings": cell.config.to_dict()}
            (cell.run / "results.json").write_text(json.dumps(result))
    found = cells.with_bounds(planned)
    assert [cell.recipe for cell in found] == [
        "mnist_to_mnist_m_mmd",
        "mnist_to_mnist_m_fixed",
        "mnist_to_mnist_m",
    ]
    (flags,) = {tuple(flags) for flags in found.values()}
    assert flags[0].startswith("--source_only=")
    assert flags[0].endswith("mnist_to_mnist_m_source_only/seed0")


def test_a_terminal_is_told_what_runs_and_how_long_it_will_take(folder, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def fileno(self):
            return 1

    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((80, 24)))
    todo = reproduce.plan(config(folder, max_steps=0), ())
    screen = Terminal()
    shown = reproduction.Reproduction(config(folder), todo, todo, FakeExecutor(), screen)
    shown._start(shown.waiting.pop(0))
    shown._show()
    shown._show()
    text = screen.getvalue()
    assert "mnist_100 seed 0: step 0 of 10,000" in text
    assert "0 complete, 1 running, 2 waiting" in text
    assert text.count("\x1b[2A\x1b[J") == 1


SHORT = (
    "--dataset=mnist_5k",
    "--sup_per_batch=1",
    "--unsup_batch_size=10",
    "--eval_batch_size=100",
)


def tabulated():
    """The rows of the tables from the results of the test."""
    found = collected(list(results.rows()))
    return [(row.what, row.changes, row.runs[0]["step"], 0 < row.values[0] < 100) for row in found]


def test_a_cell_is_trained_collected_and_stands_in_its_table(folder, capsys):
    settings = config(folder, row="mnist_100", max_steps=2)
    run(settings, HereExecutor(), SHORT)
    changes = ("dataset=mnist_5k", "max_steps=2", "sup_per_batch=1", "unsup_batch_size=10")
    assert tabulated() == [("MNIST, 100 labels", changes, 2, True)]
    run(settings, HereExecutor(), SHORT)
    assert "0 of 1 to run" in capsys.readouterr().out


def test_what_waits_for_room_on_a_cluster_neither_runs_nor_is_timed(folder, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(reproduction.time, "monotonic", lambda: clock[0])
    settings = config(folder, max_steps=0, executor="ray")
    todo = reproduce.plan(settings, ())
    screen = io.StringIO()
    shown = reproduction.Reproduction(settings, todo, todo, BusyExecutor(), screen)
    shown._look()
    assert screen.getvalue() == ""
    assert "0 running, 3 waiting; about 60 minutes left" in shown._summary()
    first = todo[0]
    first.log.parent.mkdir(parents=True)
    first.log.write_text("Training on 2 CPU cores.\n")
    clock[0] = 5000.0
    shown._look()
    assert f"started {first.name}" in screen.getvalue()
    first.run.mkdir()
    (first.run / "metrics.jsonl").write_text('{"step": 5000, "seconds": 60.0}\n')
    clock[0] += 60
    assert shown._progress(first).endswith("step 5,000 of 10,000, 60 seconds left")
    assert "1 running, 2 waiting" in shown._summary()


def test_a_screen_of_few_lines_shows_as_many_cells(folder):
    settings = config(folder, seeds="0:4", max_steps=0, jobs=12)
    todo = reproduce.plan(settings, ())
    shown = reproduction.Reproduction(settings, todo, todo, FakeExecutor(), io.StringIO())
    while shown.waiting:
        shown._start(shown.waiting.pop(0))
    lines = shown._lines(most=5)
    assert len(lines) == 6
    assert lines[-2] == "  and 8 more"
    assert len(shown._lines()) == 13


def test_commands_run_one_after_the_other_until_one_fails(tmp_path):
    log = tmp_path / "logs" / "a.log"
    say = [[sys.executable, "-c", f"print({n}); raise SystemExit({n // 2 * 3})"] for n in (1, 2, 3)]
    executor = executors.LocalExecutor()
    handle = executor.submit(say, str(log), str(ROOT))
    deadline = time.monotonic() + 60
    while executor.status(handle) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert executor.status(handle) == 3
    assert log.read_text() == "1\n2\n"


def test_what_is_stopped_gets_time_to_save(tmp_path):
    log = tmp_path / "a.log"
    executor = executors.LocalExecutor()
    handle = executor.submit([[sys.executable, "-c", SAVES_AT_THE_END]], str(log), str(ROOT))
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    executor.stop([handle])
    assert log.read_text() == "begun\nsaved\n"


def test_what_a_killed_reproduction_has_started_saves_and_ends_too(tmp_path):
    log = tmp_path / "a.log"
    starter = (
        "import sys, time; from scripts.executors import LocalExecutor\n"
        f"commands = [[sys.executable, '-c', {SAVES_AT_THE_END!r}]]\n"
        f"handle = LocalExecutor().submit(commands, {str(log)!r}, '.'); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    while "saved" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert log.read_text() == "begun\nsaved\n"


@pytest.mark.slow
def test_ctrl_c_leaves_trainings_that_the_same_command_completes(tmp_path):
    flags = [
        *("--table=cvpr17/4", "--row=mnist_visit", "--max_steps=400", "--jobs=2", "--nocollect"),
        *(f"--folder={tmp_path / 'runs'}", "--", "--dataset=mnist_5k", "--checkpoint_interval=10"),
        *("--log_interval=10", f"--architecture={running.tiny_network(tmp_path)}"),
    ]
    command = [sys.executable, "-m", "scripts.reproduce", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not list(tmp_path.rglob("step_*20.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "the trainings save first" in out
    logs = [path.read_text() for path in tmp_path.rglob("seed0.log")]
    assert any("the same command goes on from there" in log for log in logs)
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.rglob("results.json"))) == 4
    assert any("Resuming" in path.read_text() for path in tmp_path.rglob("seed0.log"))


@pytest.mark.slow
def test_a_clustering_and_a_classifier_are_reproduced_as_tasks_on_ray(folder, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    shared = {"executor": "ray", "cpus": 2.0}
    reproduce.reproduce(config(folder, row="mnist_100", max_steps=2, **shared), SHORT)
    settings = config(folder, table="adc18/1", row="mnist_vcnn", max_steps=2, **shared)
    further = ("--dataset=mnist_5k", "--unsup_batch_size=10", "--reg_warmup_steps=1")
    reproduce.reproduce(settings, further)
    assert [what for what, *_ in tabulated()] == ["MNIST, 100 labels", "MNIST, VCNN"]
    out = capsys.readouterr().out
    assert out.count("started mnist") == 2
    assert out.count("complete mnist") == 2


@pytest.mark.slow
def test_cells_run_as_tasks_on_ray(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    executor = executors.RayExecutor(cpus=1)
    try:
        log = tmp_path / "a.log"
        good = executor.submit([[sys.executable, "-c", "print(1)"]], str(log), str(ROOT))
        bad = executor.submit([[sys.executable, "-c", "raise SystemExit(4)"]], str(log), str(ROOT))
        deadline = time.monotonic() + 120
        while None in (executor.status(good), executor.status(bad)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (executor.status(good), executor.status(bad)) == (0, 4)
        assert log.read_text() == "1\n"
        other = tmp_path / "b.log"
        handle = executor.submit([[sys.executable, "-c", SAVES_AT_THE_END]], str(other), str(ROOT))
        while not (other.exists() and other.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        executor.stop([handle])
        assert other.read_text() == "begun\nsaved\n"
    finally:
        executor.close()
