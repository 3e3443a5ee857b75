"""Tests of results and their tables: what is kept, what is left out, what is shown."""

import dataclasses
import itertools
import json
import statistics
from pathlib import Path

import pytest

from clustering.config import TrainConfig as ClusteringConfig
from domain_adaptation.config import TrainConfig as AdaptationConfig
from scripts import published, tables
from scripts import results as script
from scripts.rows import collected
from semisup.cli import flags
from semisup.cli.options import option
from semisup.config import TrainConfig
from semisup.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The script, writing into a folder of the test."""
    monkeypatch.setattr(script, "RESULTS", tmp_path / "results")
    return script


def tables_of(title):
    """The tables whose titles begin so: of full measurements, and of trials."""

    every = every_table(lambda text, folder: text)
    return [found for found in every if found.title.startswith(title)]


def every_table(link):
    """All tables, those of full measurements first."""
    folders = list(script.rows())
    parts = tables.parts(folders, collected(folders), link)
    return [table for part in parts.values() for table in part]


def rows(title):
    """Cells of the tables whose titles begin so, by the columns' names."""
    return [line for table in tables_of(title) for line in table.lines]


def write_run(folder, result, task="semisup"):
    """Write what `scripts.results` reads of a run into a folder."""
    folder.mkdir(exist_ok=True)
    config = {"task": task, "settings": result["settings"], "backend": "tensorflow"}
    for name, content in (("config", config), ("results", result)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def run_directory(folder, *arguments, error=0.01, earlier=()):
    argv = ["train", *arguments]
    settings = flags.parse(argv, TrainConfig, recipes=ROOT / "semisup" / "recipes").to_dict()
    result = {
        "command": " ".join(["python", "-m", "semisup.train", *arguments]),
        "settings": settings,
        "step": settings["max_steps"],
        "test_error": error,
        "wall_time_seconds": 600.0,
        "hardware": {"cores": 2, "accelerators": []},
    }
    write_run(folder, result)
    entries = [
        {"step": step, "seconds": 1.0, "test_error": value}
        for step, value in enumerate([*earlier, error])
    ]
    entries.insert(1, {"step": 0, "seconds": 1.5, "total_loss": 2.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def test_a_result_keeps_settings_and_command_and_loses_paths(results, tmp_path):
    run = run_directory(
        tmp_path / "run", "--recipe=mnist_100", "--seed=3", "--data_dir=/d", "--logdir=/l"
    )
    path = results.collect("mnist_100", run)
    assert path == tmp_path / "results" / "mnist_100" / "seed3.json"
    result = json.loads(path.read_text())
    assert result["command"] == "python -m semisup.train --recipe=mnist_100 --seed=3"
    assert "data_dir" not in result["settings"]
    assert result["settings"]["seed"] == 3
    assert result["changed"] == []


def test_cells_of_a_grid_are_rows_of_their_own_with_mean_and_deviation(results, tmp_path):
    for index, (weight, seed, error) in enumerate(
        [("0.25", 0, 0.01), ("0.25", 1, 0.03), ("0.5", 0, 0.5)]
    ):
        run = run_directory(
            tmp_path / str(index),
            "--recipe=mnist_visit",
            f"--visit_weight={weight}",
            f"--seed={seed}",
            error=error,
        )
        results.collect("mnist_visit", run)
    quarter, half = rows("Learning by Association (CVPR 2017), table 4")
    assert quarter["what"] == "MNIST, 1,000 labels, visit weight 0.25"
    # The paper gives the median.
    assert quarter["ours"] == f"**median 2.00 % ± {statistics.stdev([1, 3]):.2f}**"
    assert quarter["published"] == "median 1.17 % ± 0.15"
    assert (quarter["seeds"], quarter["each"]) == ("2", "1.00, 3.00")
    assert half["ours"] == "**median 50.00 %**"
    assert half["difference"] == "+49.18"


def test_a_table_of_least_errors_has_ours_and_says_what_the_last_step_has(results, tmp_path):
    errors = [((0.03, 0.01), 0.02), ((0.5, 0.03), 0.05), ((0.5, 0.09), 0.15)]
    for seed, (earlier, last) in enumerate(errors):
        arguments = ["--recipe=mnist_visit", "--visit_weight=0.5", f"--seed={seed}"]
        run = run_directory(tmp_path / str(seed), *arguments, error=last, earlier=earlier)
        results.collect("mnist_visit", run)
    (row,) = rows("Learning by Association (CVPR 2017), table 4: least test error of a run")
    assert row["each"] == "1.00, 3.00, 9.00"
    assert row["ours"].startswith("**median 3.00 % ± ")
    assert row["steps"] == "10,000, 3 evaluations"
    (row,) = rows("Least errors")
    assert row["least error"] == "median 3.00 %"
    assert row["error of the last step"] == "median 5.00 %"


def test_what_no_paper_has_stands_in_tables_of_its_own(results, tmp_path):
    flags = ["--recipe=mnist_grid", "--sup_per_class=2", "--similarity=none"]
    results.collect("mnist_grid", run_directory(tmp_path / "grid", *flags))
    results.collect("mnist_100_best", run_directory(tmp_path / "best", "--recipe=mnist_100_best"))
    (row,) = rows("Not in the papers, mnist_grid: test error")
    assert row["what"] == "MNIST, 20 labels, 0 unlabelled images"
    assert (row["published"], row["ours"], row["difference"]) == ("-", "**1.00 %**", "-")
    (row,) = rows("Not in the papers, settings: test error")
    assert row["what"] == "MNIST, 100 labels, the settings that we found best"


def test_a_difference_has_students_interval(results, tmp_path):
    for seed, error in enumerate((0.01, 0.012, 0.008)):
        run = run_directory(
            tmp_path / str(seed), "--recipe=mnist_100", f"--seed={seed}", error=error
        )
        results.collect("mnist_100", run)
    (row,) = rows("Learning by Association (CVPR 2017), table 1")
    # 4.3027 is the quantile of Student's distribution for two degrees of freedom.
    half = 4.3027 * 0.2 / 3**0.5
    assert row["difference"] == f"+0.11 ({0.11 - half:+.2f} to {0.11 + half:+.2f})"


def test_a_result_on_other_data_stands_beside_no_published_number(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    results.collect("mnist_100", run, note="half of it", comparable=False)
    title = "Learning by Association (CVPR 2017), table 1"
    (row,) = rows(title)
    assert row["published"] == "not comparable"
    assert row["difference"] == "-"
    assert row["ours"] == "**1.00 %**"
    assert row["what"] == "MNIST, 100 labels, **other data** [1]"
    (table,) = tables_of(title)
    assert table.notes == ["half of it"]


def test_results_on_several_data_sets_are_rows_of_their_own(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    for note in ("", "MNIST: a half", "MNIST: a half"):
        results.collect("mnist_100", run, note=note)
    second = run_directory(tmp_path / "second", "--recipe=mnist_100", "--seed=1")
    with pytest.raises(UserError, match="of other data by its note, 'MNIST: a half', not 'MNIST: "):
        results.collect("mnist_100", second, note="MNIST: a third")
    with pytest.raises(UserError, match="or one of them is not comparable"):
        results.collect("mnist_100", second, note="MNIST: a half", comparable=False)
    # The only result of a row may be corrected.
    results.collect("mnist_100", run, note="MNIST: a third")
    assert {path.name for path in (results.RESULTS / "mnist_100").iterdir()} == {
        "seed0.json",
        "data=MNIST",
    }
    found = rows("Learning by Association (CVPR 2017), table 1")
    assert [row["what"] for row in found] == [
        "MNIST, 100 labels",
        "MNIST, 100 labels, **other data** [1]",
    ]


def test_the_command_gives_the_settings_again_without_paths(results, tmp_path):
    changed = ["--architecture=my net", "--nodeterministic", "--cache_dir=/a b"]
    run = run_directory(tmp_path / "run", "--recipe=mnist_100", *changed, "--logdir=/my runs")
    command = json.loads(results.collect("mnist_100", run).read_text())["command"]
    expected = "--recipe=mnist_100 '--architecture=my net' --nodeterministic"
    assert command == f"python -m semisup.train {expected}"


def test_a_result_tells_what_its_run_went_on_from(results, tmp_path):
    first = run_directory(tmp_path / "first", "--recipe=mnist_100", "--max_steps=7")
    flags = ["--recipe=mnist_100", f"--initial_run={first}"]
    run = run_directory(tmp_path / "run", *flags)
    content = json.loads(results.collect("mnist_100", run).read_text())
    assert content["went_on_from"]["step"] == 7
    assert content["went_on_from"]["settings"]["learning_rate"] == 1e-3
    assert str(tmp_path) not in json.dumps(content)
    (first / "results.json").unlink()
    with pytest.raises(UserError, match=r"which holds no results\.json any more"):
        results.collect("mnist_100", run)


def test_what_a_run_went_on_from_is_part_of_the_row(results):
    first = published.settings("svhn_pretraining").to_dict()
    assert results.beginning_changes("svhn_to_mnist_swapped", first) == []
    shorter = {**first, "max_steps": 100, "seed": 5}
    assert results.beginning_changes("svhn_to_mnist_swapped", shorter) == [
        "initial_run.max_steps=100"
    ]
    assert results.beginning_changes("mnist_100", shorter) == []


def test_a_result_keeps_the_curve_of_its_evaluations_thinned(results, tmp_path):
    def curve(name, earlier):
        run = run_directory(tmp_path / name, "--recipe=mnist_100", error=0.01, earlier=earlier)
        return json.loads(results.collect("mnist_100", run).read_text())["curve"]

    assert curve("few", (0.5, 0.25)) == {"test_error": {"0": 0.5, "1": 0.25, "2": 0.01}}
    points = curve("many", [0.5] * 120)["test_error"]
    assert len(points) <= script.MOST_POINTS
    steps = list(map(int, points))
    assert steps == sorted(steps)
    assert points["120"] == 0.01, "the last one is kept"


def test_a_classifier_without_a_log_of_its_evaluations_is_no_result(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    (run / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match="has no evaluation in its log"):
        results.collect("mnist_100", run)


def test_a_result_names_folders_and_networks_without_their_paths(results, tmp_path):
    given = [
        "--recipe=mnist_100",
        "--dataset=folder:/my/photos",
        "--architecture=/my/network.keras",
    ]
    path = results.collect(
        "mnist_100", run_directory(tmp_path / "run", "--recipe=mnist_100", *given)
    )
    content = json.loads(path.read_text())
    assert content["settings"]["dataset"] == "folder:photos"
    assert "--dataset=folder:photos" in content["command"]
    assert "/my" not in json.dumps(content)
    assert {"architecture=network.keras", "dataset=folder:photos"} <= set(content["changed"])


def test_rows_say_their_budget_and_the_recipes_own_settings_come_first(results, tmp_path):
    for index, arguments in enumerate(
        (["--max_steps=500"], ["--max_steps=600", "--learning_rate=0.01"], ["--max_steps=10000"])
    ):
        run = run_directory(tmp_path / str(index), "--recipe=mnist_100", *arguments)
        results.collect("mnist_100", run)
    title = "Learning by Association (CVPR 2017), table 1"
    assert [(row["what"], row["steps"]) for row in rows(title)] == [
        ("MNIST, 100 labels", "10,000"),
        ("MNIST, 100 labels", "500 of 10,000"),
        ("MNIST, 100 labels, settings [1]", "600 of 10,000"),
    ]
    (table,) = tables_of(title)
    assert table.notes == ["`--learning_rate=0.01`"]


def test_a_remark_stands_once_below_the_table_that_refers_to_it(results, tmp_path):
    for labels in (2, 10):
        flags = ["--recipe=svhn_grid", f"--sup_per_class={labels}"]
        run = run_directory(tmp_path / str(labels), *flags)
        results.collect("svhn_grid", run, note="half of it")
    folders = list(script.rows())
    link = tables.linking(results.RESULTS.parent)
    text = tables.markdown(every_table(link))
    assert text.count(", **other data** [1] |") == 2
    assert text.count("\n\n- [1] half of it") == 1
    assert tables.latex(folders, collected(folders)).count(r"\par[1] half of it") == 1


def pages(root, monkeypatch):
    """What the generator writes into the two pages of a project."""
    monkeypatch.setattr(script, "RESULTS", root / "results")
    found = [root / "README.md", root / "results" / "README.md"]
    for page in found:
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"before\n{tables.BEGIN}\n{tables.END}\nafter\n")
    written = tables.files()
    return [written[page] for page in found]


def test_the_first_page_shows_several_seeds_of_the_recipes_own_steps_and_data_alone(
    results, tmp_path, monkeypatch
):
    kinds = [
        *(("mnist_100", [f"--seed={seed}"], "") for seed in (0, 1)),
        *(("mnist_1000", ["--max_steps=20", f"--seed={seed}"], "") for seed in (0, 1)),
        *(("mnist_all", [f"--seed={seed}"], "half of it") for seed in (0, 1)),
        ("mnist_100_best", [], ""),
    ]
    for number, (recipe, arguments, note) in enumerate(kinds):
        run = run_directory(tmp_path / str(number), f"--recipe={recipe}", *arguments)
        results.collect(recipe, run, note=note)
    first, every = pages(tmp_path, monkeypatch)
    lines = [line for line in first.splitlines() if line.startswith("| [")]
    assert lines == [
        "| [MNIST, 100 labels](results/mnist_100) | test error | 0.89 % ± 0.08 | "
        "**1.00 % ± 0.00** | 2 | 10,000 |"
    ]
    full, trials = every.partition("## Full measurements")[2].split("## Trials")
    assert "](mnist_100)" in full
    assert "](mnist_100)" not in trials
    for folder in ("mnist_1000/max_steps=20", "mnist_all/data=half_of_it", "mnist_100_best"):
        assert f"]({folder})" in trials
        assert f"]({folder})" not in full
    assert first.startswith("before\n")
    assert first.endswith("\nafter\n")


def test_the_first_page_leaves_out_what_association_is_compared_with_in_no_paper(
    results, tmp_path, monkeypatch
):
    flags = {"association": [], "labels alone": ["--similarity=none"]}
    for seed, (method, given) in itertools.product(range(2), flags.items()):
        arguments = ["--recipe=omniglot_5", *given, f"--seed={seed}"]
        results.collect("omniglot_5", run_directory(tmp_path / f"{method}_{seed}", *arguments))
    what = "Omniglot, 5 labels a character"
    first, every = pages(tmp_path, monkeypatch)
    assert [f"{what}, {method}](" in first for method in flags] == [True, False]
    assert all(f"{what}, {method}](" in every for method in flags)


def test_the_remark_of_a_result_stands_beside_its_row_until_it_is_measured_again(
    results, tmp_path, monkeypatch
):
    for seed in (0, 1):
        run = run_directory(tmp_path / str(seed), "--recipe=mnist_100", f"--seed={seed}")
        path = results.collect("mnist_100", run)
        path.write_text(json.dumps({**json.loads(path.read_text()), "remark": "by hand"}))
    for page in pages(tmp_path, monkeypatch):
        assert ", remark [1] |" in page
        assert "- [1] by hand" in page
    results.collect("mnist_100", tmp_path / "0")
    assert all("- [1] by hand" in page for page in pages(tmp_path, monkeypatch))
    results.collect("mnist_100", tmp_path / "1")
    assert not any("remark" in page for page in pages(tmp_path, monkeypatch))


def test_a_median_has_no_interval(results, tmp_path):
    for seed, error in enumerate((0.01, 0.012, 0.008)):
        flags = ["--recipe=mnist_visit", "--visit_weight=0.25", f"--seed={seed}"]
        results.collect("mnist_visit", run_directory(tmp_path / str(seed), *flags, error=error))
    (row,) = rows("Learning by Association (CVPR 2017), table 4")
    assert row["difference"] == "-0.17"


def test_a_result_stands_in_the_cell_of_a_grid_that_it_is_of_and_in_no_other(results, tmp_path):
    flags = ["--recipe=svhn_grid", "--sup_per_class=10"]
    none = run_directory(tmp_path / "none", *flags, "--similarity=none")
    results.collect("svhn_grid", none)
    (row,) = rows("Learning by Association (CVPR 2017), table 3")
    assert "all" not in row["what"]
    results.collect("svhn_grid", run_directory(tmp_path / "all", *flags, "--unsup_samples=-1"))
    found = rows("Learning by Association (CVPR 2017), table 3")
    assert len(found) == 2
    assert len({row["published"] for row in found}) == 2


def test_a_validation_error_is_no_result(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    content = json.loads((run / "results.json").read_text())
    content["evaluated_on"] = "validation images"
    (run / "results.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="was measured on validation images"):
        results.collect("mnist_100", run)


def test_a_bound_is_measured_on_the_target_images_that_it_holds_out(results, tmp_path):
    recipe = "photos_to_photos_target_only"
    argv = ["train", f"--recipe={recipe}", "--validation_samples=40", "--dataset=mnist_5k"]
    recipes = ROOT / "domain_adaptation" / "recipes"
    settings = flags.parse(argv, AdaptationConfig, recipes=recipes).to_dict()
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    content = json.loads((run / "results.json").read_text())
    content |= {"evaluated_on": "validation images", "validation_error": 0.25, "settings": settings}
    write_run(run, content, "domain_adaptation")
    evaluation = {"step": content["step"], "source": {"error": 0.5, "images": 10}}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    (run / "metrics.jsonl").write_text('{"step": 9, "seconds": 1.0, "validation_error": 0.5}\n')
    result = json.loads(results.collect(recipe, run).read_text())
    assert result["test_error"] == 0.25
    assert result["curve"] == {"test_error": {"9": 0.5}}
    assert "validation_samples=40" in result["changed"]


def test_a_run_of_another_task_is_no_result_of_a_recipe(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    with pytest.raises(UserError, match="a run of semisup: --recipe=mnist_vcnn is of clustering"):
        results.collect("mnist_vcnn", run)


def test_a_run_on_other_test_images_takes_no_place_of_another():
    settings = {**published.settings("captions").to_dict(), "fold": 2}
    assert script.changes("captions", settings) == ["fold=2"]


def test_rows_of_many_changes_have_folders_of_their_own_with_names_that_can_be_written(tmp_path):
    changed = [f"setting_{number}=value" for number in range(50)]
    places = {script.place("mnist_100", changed, note) for note in ("", "one: a", "two: b")}
    places |= {script.place("mnist_100", [f"captions={name}.csv"]) for name in "猫犬"}
    assert len(places) == 5
    for place in places:
        (tmp_path / place).mkdir(parents=True)


def test_paths_are_lost_however_they_were_given(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100", "--data_dir", "/d", "--seed=1")
    command = json.loads(results.collect("mnist_100", run).read_text())["command"]
    assert command == "python -m semisup.train --recipe=mnist_100 --seed=1"


def test_mistakes_of_the_command_line_exit_2_with_one_line(results, tmp_path, monkeypatch, capsys):
    (tmp_path / "results.json").write_text("{")
    for recipe, message in (("mnist_10", "no recipe is called"), ("mnist_100", "cannot be read")):
        monkeypatch.setattr("sys.argv", ["results", f"--recipe={recipe}", str(tmp_path)])
        if recipe == "mnist_10":
            run_directory(tmp_path / "run", "--recipe=mnist_100")
            monkeypatch.setattr("sys.argv", ["results", "--recipe=mnist_10", str(tmp_path / "run")])
        with pytest.raises(SystemExit) as stop:
            results.main()
        assert stop.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_a_coverage_of_some_seeds_says_of_how_many(results, tmp_path):
    folder = ROOT / "domain_adaptation" / "recipes"
    for seed in (0, 1):
        argv = ["train", "--recipe=mnist_to_mnist_m_fixed", f"--seed={seed}"]
        settings = flags.parse(argv, AdaptationConfig, recipes=folder).to_dict()
        run = tmp_path / str(seed)
        result = {"command": "python", "settings": settings, "step": 12_000, "test_error": 0.2}
        result |= {"wall_time_seconds": 60.0, "hardware": {"cores": 2, "accelerators": []}}
        measured = {"source": {"error": 0.01}, "squared_mmd": {"domains": 0.5, "shuffled": 0.2}}
        measured |= {"step": 12_000, **({} if seed else {"coverage": 0.75})}
        write_run(run, result, "domain_adaptation")
        (run / "evaluation.json").write_text(json.dumps(measured))
        results.collect("mnist_to_mnist_m_fixed", run)
    (row,) = rows("Both domains")
    assert row["coverage"] == "75.0 % (1 of 2 seeds)"


def test_a_run_that_was_steered_is_no_result_of_a_recipe(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    content = json.loads((run / "results.json").read_text())
    content["live_changes"] = [{"step": 50, "seconds": 1.0, "learning_rate": 0.1}]
    (run / "results.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="was steered"):
        results.collect("mnist_100", run)


def test_published_numbers_name_recipes_and_flags_that_exist():
    found = published.numbers()
    assert len({(n.place, n.setting, n.method, n.metric, n.statistic) for n in found}) == len(found)
    for number in found:
        if number.recipe:
            published.settings(number.recipe, number.flags)
    recipes = {
        path.stem for task in published.TASKS for path in published.recipes(task).glob("*.flags")
    }
    extra = {"svhn_pretraining", "mnist_thesis"}
    assert recipes - {number.recipe for number in found} == extra


def test_every_published_number_of_a_recipe_stands_in_its_first_line():
    for number in published.numbers():
        several = number.flags or number.metric == "mmd" or number.value is None
        if number.recipe and not several:
            form = (
                ".0f" if number.recipe == "stl10" else ".1f" if number.paper == "adc18" else ".2f"
            )
            assert f"{number.value:{form}} %" in published.headline(number.recipe), number


def test_an_incomplete_run_is_refused(results, tmp_path):
    with pytest.raises(UserError, match=r"no results\.json"):
        results.collect("mnist_100", tmp_path)


def test_committed_results_are_whole_and_the_tables_show_them():
    files = sorted((ROOT / "results").rglob("seed*.json"))
    assert files
    for path in files:
        result = json.loads(path.read_text())
        assert {"recipe", "command", "settings", "git_commit", "versions", "hardware"} <= set(
            result
        )
        # Clusterings read no label.
        is_clustering = published.task_of(result["recipe"]) == "clustering"
        kinds = ["test images"] + ["training images"] * is_clustering
        # A bound holds out of the target what it is measured on.
        kinds += ["validation images"] * bool(result["settings"].get("target_only"))
        assert result["evaluated_on"] in kinds
        assert result["git_commit"]
        assert not result["git_commit"].endswith("-dirty"), path
        assert not [word for word in result["command"].split() if "=/" in word or word[0] == "/"]
        changed = script.changes(result["recipe"], result["settings"])
        first = result.get("went_on_from", {}).get("settings", {})
        changed += script.beginning_changes(result["recipe"], first)
        assert result["changed"] == changed, path
        place = script.place(result["recipe"], changed, result["note"])
        assert path.parent == ROOT / "results" / place
    for path, text in tables.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python -m scripts.tables"
    shown = {row.folder for row in collected(list(script.rows()))}
    assert shown == {path.parent for path in files}


def test_committed_results_keep_their_places_and_rows_when_a_setting_is_added(monkeypatch):
    def places():
        for path in sorted((ROOT / "results").rglob("seed*.json")):
            result = json.loads(path.read_text())
            changed = script.changes(result["recipe"], result["settings"])
            first = result.get("went_on_from", {}).get("settings", {})
            changed += script.beginning_changes(result["recipe"], first)
            assert path.parent == script.RESULTS / script.place(
                result["recipe"], changed, result["note"]
            )

    before = [(row.folder, row.number, row.changes) for row in collected(list(script.rows()))]
    for task, config_class in published.TASKS.items():
        field = option(0.5, "Loss", "A made-up setting.", least=0)
        grown = dataclasses.make_dataclass(
            "TrainConfig",
            [("made_up", float, field)],
            bases=(config_class,),
            frozen=True,
            kw_only=True,
        )
        monkeypatch.setitem(published.TASKS, task, grown)
    assert published.settings("mnist_100", ["--made_up=0.7"]).made_up == 0.7
    assert script.changes("mnist_100", published.settings("mnist_100").to_dict()) == []
    older = {**published.settings("mnist_100").to_dict(), "made_up": 0.7}
    assert script.changes("mnist_100", older) == ["made_up=0.7"]
    places()
    after = [(row.folder, row.number, row.changes) for row in collected(list(script.rows()))]
    assert before == after


def test_an_adaptations_result_keeps_what_was_measured_of_both_domains(results, tmp_path):
    run = tmp_path / "run"
    argv = ["train", "--recipe=mnist_to_mnist_m_fixed", "--seed=2"]
    folder = ROOT / "domain_adaptation" / "recipes"
    settings = flags.parse(argv, AdaptationConfig, recipes=folder).to_dict()
    result = {
        "command": "python -m domain_adaptation.train --recipe=mnist_to_mnist_m_fixed --seed=2",
        "settings": settings,
        "step": 12_000,
        "test_error": 0.2,
        "wall_time_seconds": 60.0,
        "hardware": {"cores": 2, "accelerators": []},
    }
    evaluation = {
        "step": 12_000,
        "source": {"error": 0.01, "images": 10},
        "squared_mmd": {"domains": 0.5, "shuffled": 0.25},
        "coverage": 0.75,
    }
    write_run(run, result, "domain_adaptation")
    (run / "evaluation.json").write_text(json.dumps({**evaluation, "step": 11_000}))
    with pytest.raises(UserError, match="has no evaluation of its last step"):
        results.collect("mnist_to_mnist_m_fixed", run, note="a subset")
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    results.collect("mnist_to_mnist_m_fixed", run, note="a subset")
    (row,) = rows("Associative Domain Adaptation (ICCV 2017), table 2")
    assert row["what"] == "MNIST to MNIST-M, DA_assoc, fixed parameters, **other data** [1]"
    (row,) = rows("Both domains")
    assert list(row.values()) == [
        "`mnist_to_mnist_m_fixed`, **other data** [1]",
        "12,000",
        "1.00 %",
        "20.00 %",
        "75.0 %",
        "0.5000",
        "0.2500",
    ]


def test_a_clusterings_result_is_its_agreement_with_the_classes(results, tmp_path):
    run = tmp_path / "run"
    folder = ROOT / "clustering" / "recipes"
    for seed, accuracy in ((0, 0.98), (1, 0.8)):
        arguments = ["--recipe=mnist_vcnn", f"--seed={seed}"]
        settings = flags.parse(["train", *arguments], ClusteringConfig, recipes=folder).to_dict()
        result = {
            "command": " ".join(["python", "-m", "clustering.train", *arguments]),
            "settings": settings,
            "step": 12_000,
            "confidence": 0.9,
            "wall_time_seconds": 60.0,
            "hardware": {"cores": 2, "accelerators": []},
        }
        write_run(run, result, "clustering")
        (run / "evaluation.json").unlink(missing_ok=True)
        with pytest.raises(UserError, match="evaluate it first"):
            results.collect("mnist_vcnn", run)
        measured = {"accuracy": accuracy, "nmi": 0.9, "ari": 0.9, "k_means_accuracy": 0.7}
        (run / "evaluation.json").write_text(json.dumps({"step": 12_000, **measured}))
        results.collect("mnist_vcnn", run)
    mean, best = rows("Associative Deep Clustering (2018), table 1: accuracy")
    assert mean["published"] == "98.70 % ± 0.6"
    assert mean["ours"] == "**89.00 % ± 12.73**"
    assert best["published"] == "best 99.20 %"
    assert best["ours"] == "**best 98.00 %**"
    assert best["difference"] == "-1.20"
    (row,) = rows("Clusters")
    assert row["accuracy of k-means"] == "70.00 % ± 0.00"
    assert row["NMI"] == "90.0 % ± 0.0"
