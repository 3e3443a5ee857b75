"""The curves of results: what evaluations during the trainings measured, one figure for a table.

`scripts.tables` draws them into `results/curves`, again where what a figure shows has changed.
"""

import dataclasses
import hashlib
import json

from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from scripts import published, results, texts
from scripts.rows import ERRORS
from semisup.cli.dataset_names import FOLDER
from semisup.report.figures.drawing import FONT_SIZE, new_figure, save, shortened
from semisup.report.figures.tsne import COLOURS

_COLUMNS = 4
_PANEL_WIDTH, _PANEL_HEIGHT = 3.0, 2.3
_TITLE_SIZE = FONT_SIZE - 1
_FINGERPRINT = "Source"
_CONFIDENCE = "confidence"
_ABOUT = (
    "Each line is a run, each point an evaluation during its training; dashed lines are published "
    "numbers. Of several rows on the same data, the one closest to a full measurement is shown. A "
    "clustering's training reads no label, so its curve is the mean confidence."
)


@dataclasses.dataclass(frozen=True)
class Line:
    """The runs of one method.

    Attributes:
        method: its name.
        published: the published number, or None.
        runs: for each seed, pairs of a step and what was measured then, in per cent.
    """

    method: str
    published: float | None
    runs: list[list[tuple[int, float]]]


@dataclasses.dataclass(frozen=True)
class Panel:
    """What was measured in one setting.

    Attributes:
        setting: data, labels and other circumstances.
        data: the data sets, where the recipe leaves them open, and what a note says of them.
        measure: what was measured, in words.
        lines: `Line`s.
    """

    setting: str
    data: str
    measure: str
    lines: list[Line] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Curves:
    """The curves of a table.

    Attributes:
        number: the first `Number` of the table.
        panels: `Panel`s that have a curve.
        without: what was measured, but of which no curve is committed.
    """

    number: published.Number
    panels: list[Panel]
    without: list[str]

    @property
    def path(self):
        """The file of the figure."""
        name = f"{self.number.paper}_{self.number.table}".replace(" ", "_")
        return results.RESULTS / "curves" / f"{name}.png"

    @property
    def fingerprint(self):
        """A text that changes with what the figure shows."""
        content = json.dumps([dataclasses.asdict(self)["panels"], self.without])
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def is_drawn(self):
        """Whether the file of the figure shows what it should."""
        if not self.path.is_file():
            return False
        with Image.open(self.path) as image:
            return image.info.get(_FINGERPRINT) == self.fingerprint


def of_tables(rows):
    """Return the `Curves` of each table of which something is measured.

    Of several rows of a number on the same data, it takes the one closest to a full measurement.

    Args:
        rows: all rows: see `rows.collected`.
    """
    chosen = {}
    for row in rows:
        if row.number:
            key = row.number, _data(row)
            if key not in chosen or row.distance < chosen[key].distance:
                chosen[key] = row
    found = {}
    places = {number: place for place, number in enumerate(published.numbers())}
    for (number, data), row in sorted(chosen.items(), key=lambda pair: places[pair[0][0]]):
        curves = found.setdefault(number.place, Curves(number, [], []))
        _add(curves, row, data)
    return list(found.values())


def _add(curves, row, data):
    """Add a row to the curves of its table."""
    number = row.number
    measure, measured = _measured(row)
    if not any(len(points) > 1 for points in measured):
        # Of some metrics, a log that has a curve has none.
        if not any("curve" in run for run in row.runs):
            curves.without.append(number.what + (f" ({data})" if data else ""))
        return
    panel = Panel(number.setting, data, measure)
    known = next((one for one in curves.panels if _key(one) == _key(panel)), None)
    if known is None:
        curves.panels.append(panel)
    value = number.value if row.comparable and measure != _CONFIDENCE else None
    line = Line(number.method, value, [points for points in measured if points])
    # The mean and the best of the same runs have the same curves.
    lines = (known or panel).lines
    if (line.method, line.runs) not in [(other.method, other.runs) for other in lines]:
        lines.append(line)


def _key(panel):
    return panel.setting, panel.data, panel.measure


def _data(row):
    """Return what data a row is of, if not its recipe's: the names of the sets, or the note."""
    names = ("dataset", "target_dataset")
    if not {change.partition("=")[0] for change in row.changes}.isdisjoint(names):
        sets = [row.runs[0]["settings"].get(name, "") for name in names]
        return " to ".join(name.removeprefix(FOLDER) for name in sets if name)
    return row.note


def _measured(row):
    """Return what the curves of a row's runs show, in words, and their points in per cent."""
    kept = [run.get("curve", {}) for run in row.runs]
    if row.metric in ERRORS:
        return texts.NAMES["test_error"], _points(kept, "test_error")
    if row.metric == "accuracy" and any("test_error" in curve for curve in kept):
        return texts.NAMES["accuracy"], _points(kept, "test_error", lambda error: 1 - error)
    if row.metric == "accuracy":
        return _CONFIDENCE, _points(kept, "confidence")
    return texts.NAMES[row.metric], _points(kept, row.metric)


def _points(kept, name, function=lambda value: value):
    return [
        [(int(step), 100 * function(value)) for step, value in curve.get(name, {}).items()]
        for curve in kept
    ]


def draw(rows):
    """Draw the figures that are missing or show something else, and remove those of nothing.

    Args:
        rows: see `of_tables`.

    Returns:
        Paths of the figures that it has drawn.
    """
    shown = [curves for curves in of_tables(rows) if curves.panels]
    for path in set((results.RESULTS / "curves").glob("*.png")) - {one.path for one in shown}:
        path.unlink()
    todo = [curves for curves in shown if not curves.is_drawn]
    return [
        save(figure_of(curves), curves.path, **{_FINGERPRINT: curves.fingerprint})
        for curves in todo
    ]


def figure_of(curves):
    """Draw the curves of a table: a panel for each setting, a colour for each method.

    Args:
        curves: `Curves` with at least one panel.
    """
    methods = list(dict.fromkeys(line.method for panel in curves.panels for line in panel.lines))
    colours = dict(zip(methods, COLOURS, strict=False))
    columns = min(_COLUMNS, len(curves.panels))
    rows = -(-len(curves.panels) // columns)
    figure = new_figure(columns * _PANEL_WIDTH, rows * _PANEL_HEIGHT + 0.8)
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, curves.panels, strict=False):
        _draw_panel(axes, panel, colours)
    for axes in grid.flat[len(curves.panels) :]:
        axes.remove()
    figure.suptitle(texts.place(curves.number), x=0.01, ha="left", size=FONT_SIZE + 2)
    handles = [Line2D([], [], color=colours[method], label=method) for method in methods]
    if any(line.published is not None for panel in curves.panels for line in panel.lines):
        handles.append(Line2D([], [], color="0.4", ls="--", lw=1, label="published"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), 2 * columns),
        fontsize=FONT_SIZE - 1,
        frameon=False,
    )
    return figure


def _draw_panel(axes, panel, colours):
    for line in panel.lines:
        for points in line.runs:
            axes.plot(
                *zip(*points, strict=True), color=colours[line.method], lw=1, marker=".", ms=4
            )
        if line.published is not None:
            axes.axhline(line.published, color=colours[line.method], ls="--", lw=1)
    least = min(value for line in panel.lines for points in line.runs for _, value in points)
    if panel.measure == texts.NAMES["test_error"] and least > 0:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        subs = (1, 2, 5) if high > 10 * low else (1, 1.2, 1.5, *range(2, 10))
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(left=0)
    axes.tick_params(which="both", labelsize=FONT_SIZE - 2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("step", size=FONT_SIZE - 1)
    axes.set_ylabel(f"{panel.measure}, %", size=FONT_SIZE - 1)
    lines = [
        shortened(text, _PANEL_WIDTH - 0.3, FONT_SIZE)
        for text in (panel.setting, panel.data)
        if text
    ]
    axes.set_title("\n".join(lines), size=_TITLE_SIZE, loc="left")


def markdown(rows, root):
    """Return the figures in Markdown, and what is missing in each.

    Args:
        rows: see `of_tables`.
        root: the folder of the page.
    """
    found, nothing = [_ABOUT], []
    for curves in of_tables(rows):
        title = texts.place(curves.number)
        if not curves.panels:
            nothing.append(title)
            continue
        found.append(f"![{title}]({curves.path.relative_to(root).as_posix()})")
        if curves.without:
            found.append(f"Without a curve in {title}: {'; '.join(curves.without)}.")
    if nothing:
        found.append(f"No run has a curve in these tables: {'; '.join(nothing)}.")
    return "\n\n".join(found)
