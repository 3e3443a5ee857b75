import itertools
import statistics

import numpy as np
import pictures
import pytest

from semisup.report.figures import drawing, marginals


def search(count, seed=0):
    """Runs of a random search: two weights, one of them over decades, and two choices."""
    rng = np.random.default_rng(seed)
    return [
        (
            {
                "weight": rng.random(),
                "norm": 10 ** rng.uniform(-6, -1),
                "optimizer": str(rng.choice(["sgd", "adam"])),
                "warm_up": bool(rng.random() < 0.5),
                "steps": 1_000,
                "name": f"run {index}",
            },
            rng.uniform(10, 99),
        )
        for index in range(count)
    ]


def of_values(values, metrics=None, name="x"):
    metrics = range(len(values)) if metrics is None else metrics
    return [({name: value}, metric) for value, metric in zip(values, metrics, strict=True)]


def panels(figure):
    return {axes.get_xlabel(): axes for axes in figure.axes}


def only_panel(runs):
    (axes,) = marginals.marginal_figure(runs, "accuracy (%)").axes
    return axes


def summary(axes):
    """Values, means and, for groups of several runs, the ends of the error bar."""
    (bars,) = axes.containers
    line, _, (segments,) = bars.lines
    spans = [segment[:, 1] for segment in segments.get_segments() if len(segment)]
    return *line.get_data(), spans


def dots(axes):
    return np.asarray(axes.collections[0].get_offsets())


def tick_names(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


# Which settings


def test_varying_settings_have_panels_by_name():
    figure = marginals.marginal_figure(search(60), "accuracy (%)", title="60 runs")
    assert list(panels(figure)) == ["norm", "optimizer", "warm_up", "weight"]
    assert figure.axes[0].get_ylabel() == "accuracy (%)"
    assert figure.get_suptitle() == "60 runs"


@pytest.mark.parametrize(("count", "grid"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (9, (3, 3))])
def test_panels_stand_in_a_grid_with_rows_of_at_most_four(count, grid):
    names = [f"setting {index}" for index in range(count)]
    runs = [(dict.fromkeys(names, value), value) for value in (1, 2, 3)]
    figure = marginals.marginal_figure(runs, "accuracy (%)", title="a title")
    assert list(panels(figure)) == names
    pictures.pixels(figure)
    assert len({round(axes.bbox.y0) for axes in figure.axes}) == grid[0]
    assert len({round(axes.bbox.x0) for axes in figure.axes}) == grid[1]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_runs_without_a_setting_are_left_out_and_said_to_be():
    runs = [*of_values([1, 2, None, 4]), ({"y": "a"}, 5), ({"y": "b"}, 6)]
    axes = panels(marginals.marginal_figure(runs, "accuracy (%)"))
    assert axes["x"].get_title(loc="right") == "3 of 6 runs"
    assert axes["y"].get_title(loc="right") == "2 of 6 runs"
    np.testing.assert_array_equal(dots(axes["x"])[:, 1], [0, 1, 3])


# Numbers


def test_mean_and_deviation_are_of_the_runs_with_equal_values():
    axes = only_panel(of_values([2, 1, 2, 3, 2], [10, 20, 13, 30, 19]))
    values, means, spans = summary(axes)
    np.testing.assert_allclose(values, [1, 2, 3])
    np.testing.assert_allclose(means, [20, 14, 30])
    deviation = statistics.stdev([10, 13, 19])
    np.testing.assert_allclose(spans, [[14 - deviation, 14 + deviation]])
    assert axes.get_title(loc="right") == "5 runs"


def test_every_run_is_a_dot_close_to_its_value():
    values = [0.1, 0.3, 0.3, 0.3, 0.9]
    places = dots(only_panel(of_values(values, [5, 1, 4, 2, 3])))
    np.testing.assert_array_equal(places[:, 1], [5, 1, 4, 2, 3])
    np.testing.assert_allclose(places[:, 0], values, atol=0.02)
    assert len(set(places[:, 0])) == 5


@pytest.mark.parametrize(("count", "bins"), [(13, 2), (30, 6), (50, 10), (1_061, 10)])
def test_many_values_are_grouped_into_bins_of_equal_count(count, bins):
    rng = np.random.default_rng(0)
    drawn, metrics = rng.uniform(1, 5, count), rng.normal(size=count)
    axes = only_panel(of_values(drawn, metrics))
    values, means, spans = summary(axes)
    order = np.argsort(drawn)
    edges = np.cumsum([0] + [count // bins + (i < count % bins) for i in range(bins)])
    groups = [order[start:end] for start, end in itertools.pairwise(edges)]
    np.testing.assert_allclose(values, [drawn[group].mean() for group in groups])
    np.testing.assert_allclose(means, [metrics[group].mean() for group in groups])
    np.testing.assert_allclose(
        np.diff(spans)[:, 0], [2 * np.std(metrics[group], ddof=1) for group in groups]
    )
    assert axes.get_title(loc="right") == f"{count:,} runs in {bins} bins"
    np.testing.assert_array_equal(dots(axes), np.stack([drawn, metrics], axis=1))


def test_up_to_twelve_values_are_not_grouped():
    assert len(summary(only_panel(of_values(np.arange(24) % 12)))[0]) == 12
    assert len(summary(only_panel(of_values(np.arange(26) % 13)))[0]) == 5


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-5, 1e-4, 1e-2], "log"),
        ([1, 101], "log"),
        ([1, 100], "linear"),
        ([0, 1e-5, 1e-2], "linear"),
        ([-1, 1, 1_000], "linear"),
        ([32, 64, 128], "linear"),
        (10 ** np.random.default_rng(0).uniform(-6, -1, 200), "log"),
        # Drawn from [0, 1], some of a thousand are close to 0.
        (np.random.default_rng(0).random(1_000), "linear"),
    ],
)
def test_axis_is_logarithmic_where_positive_values_span_more_than_two_decades(values, scale):
    assert only_panel(of_values(values)).get_xscale() == scale


def test_bins_on_a_logarithmic_axis_stand_at_the_geometric_mean():
    drawn = np.sort(10 ** np.random.default_rng(0).uniform(-6, -1, 50))
    values, _, _ = summary(only_panel(of_values(drawn)))
    expected = [statistics.geometric_mean(drawn[i : i + 5]) for i in range(0, 50, 5)]
    np.testing.assert_allclose(values, expected)


# Categories


def test_texts_and_truth_values_are_categories():
    runs = [
        ({"optimizer": "sgd", "warm_up": True}, 1),
        ({"optimizer": "adam", "warm_up": True}, 3),
        ({"optimizer": "sgd", "warm_up": False}, 5),
        ({"optimizer": None, "warm_up": False}, 6),
    ]
    axes = panels(marginals.marginal_figure(runs, "accuracy (%)"))
    assert tick_names(axes["optimizer"]) == ["None", "adam", "sgd"]
    np.testing.assert_allclose(summary(axes["optimizer"])[:2], [[0, 1, 2], [6, 3, 3]])
    assert tick_names(axes["warm_up"]) == ["False", "True"]
    np.testing.assert_allclose(summary(axes["warm_up"])[:2], [[0, 1], [5.5, 2]])
    np.testing.assert_array_equal(np.round(dots(axes["optimizer"])[:, 0]), [2, 1, 2, 0])


def test_numbers_among_texts_are_categories():
    axes = only_panel(of_values([0.5, "auto", 0.5, (1, 2)]))
    assert tick_names(axes) == ["(1, 2)", "0.5", "auto"]


def test_numbers_of_numpy_are_numbers():
    axes = only_panel(of_values([np.float32(1), np.int64(2), 3]))
    np.testing.assert_allclose(summary(axes)[0], [1, 2, 3])


# Errors


@pytest.mark.parametrize("values", [[], [1], [1, 1], [f"name {i}" for i in range(21)]])
def test_settings_that_do_not_vary_or_are_names_are_no_figure(values):
    with pytest.raises(ValueError, match="no setting that can be drawn varies"):
        marginals.marginal_figure(of_values(values), "accuracy (%)")


def test_equal_inputs_give_files_of_equal_bytes(tmp_path):
    paths = [
        drawing.save(marginals.marginal_figure(search(40), "a", title="b"), tmp_path / name)
        for name in ("first.png", "second.png")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
