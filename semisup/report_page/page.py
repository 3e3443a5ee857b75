"""The parts of the report on a run, and the page that they make."""

import base64
import dataclasses
import hashlib
import io
import json
import os
import shlex
from importlib import resources

from PIL import Image

from semisup.data import image_files
from semisup.errors import UserError
from semisup.report_page import charts, markup, measured
from semisup.report_page.markup import element
from semisup.run_config import FOLDER, file_name, flags_for

LARGE = 400_000
"""Bytes of a PNG file above which its colours are reduced to a palette."""

WIDEST = 2400
"""Pixels, at most, of the width of such a figure."""

_TASKS = {
    "semisup": "Semi-supervised classification",
    "domain_adaptation": "Domain adaptation",
    "clustering": "Clustering",
}
_TILES = ("accuracy", "error", "nmi", "ari", "coverage")
_CAPTIONS = {
    "associations": "Associations of labelled with unlabelled images, early and late in the "
    "training: the thicker a line, the more probable the step.",
    "cluster_sizes": "Sizes of the clusters over the training.",
    "clusters": "The most probable images of each cluster.",
    "confusion": "Confusion matrix, labelled images and mistakes.",
    "domains": "Embeddings of both domains by t-SNE, by domain and by class.",
    "excitation": "What excites kernels most, and what its pixels contribute.",
    "kernels": "Kernels of the first convolution.",
    "neighbours": "Images and those whose embeddings are most similar.",
    "tsne": "Embeddings by t-SNE.",
}
_ELSEWHERE = ("settings", "command", "versions", "hardware", "backend", "git_commit")
"""What `results.json` holds that has its own place in the page."""


def render(run, task):
    """The report on a run as the text of an HTML file.

    Args:
        run: a `RunDirectory`.
        task: module of its task.

    Raises:
        UserError: if the directory holds no run, or a file of it is damaged.
    """
    config = run.read_config()
    if config is None:
        raise UserError(f"{run.path} holds no run: it has no config.json")
    report = Report(run, task, config)
    sections = {
        "Settings": report.settings(),
        "Evaluation": report.evaluation(),
        "Curves": report.curves(),
        "Figures": report.figures(),
        "To repeat it": report.reproduction(),
    }
    ids = {title: title.lower().replace(" ", "-") for title in sections}
    style, script = (_asset(f"page.{kind}") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            "style-src 'unsafe-inline'",
            f"script-src 'sha256-{digest}'",
        )
    )
    root = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", f"{report.title}, {report.name}"),
            element("link", rel="icon", href="data:,"),
            element("style", style),
        ),
        element(
            "body",
            element(
                "header",
                element("p", report.task_title, class_="note"),
                element("h1", report.title),
                element("p", f"Run {report.name}"),
                report.tiles(),
                element(
                    "nav",
                    [element("a", title, href=f"#{ids[title]}") for title in sections],
                    aria_label="Parts of the report",
                ),
            ),
            element(
                "main",
                [
                    element("section", element("h2", title), content, id=ids[title])
                    for title, content in sections.items()
                ],
            ),
            element("script", script),
        ),
        lang="en",
    )
    return markup.document(root)


def _asset(name):
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


class Report:
    """Reads what a run left behind, and describes it.

    Args:
        run: a `RunDirectory`.
        task: module of its task.
        config: content of its `config.json`.
    """

    def __init__(self, run, task, config):
        self.run = run
        self.task = task
        self.config = config
        self.values = config["settings"]
        self.fields = {field.name: field for field in dataclasses.fields(task.Config)}
        self.record = run.read_record() or {}
        self.results = run.read_results() or {}
        self.measured = run.read_json("evaluation.json") or {}
        self.entries = run.read_metrics()
        self.name = os.path.basename(run.path)
        self.task_title = _TASKS.get(config["task"], config["task"])
        domains = (self.values.get("dataset"), self.values.get("target_dataset"))
        self.title = " → ".join(_dataset(domain) for domain in domains if domain)

    def tiles(self):
        """What came of the run, at a glance."""
        tiles = self._measured_tiles()
        step = max((entry["step"] for entry in self.entries), default=0)
        step, steps = self.results.get("step", step), self.values.get("max_steps")
        complete = "training complete" if self.results else "training not complete"
        tiles.append(_tile("Steps", f"{step:,}", f"of {markup.text(steps)}: {complete}"))
        seconds = self.results.get("wall_time_seconds")
        if seconds is None and self.entries:
            seconds = self.entries[-1]["seconds"]
        if seconds is not None:
            speed = self.results.get("median_steps_per_second")
            note = f"{speed:.3g} steps a second (median)" if speed else ""
            tiles.append(_tile("Wall time", markup.duration(seconds), note))
        if "labelled_indices" in self.record:
            count = len(self.record["labelled_indices"])
            tiles.append(_tile("Labelled images", f"{count:,}", "of the training images"))
        return element("div", tiles, class_="tiles")

    def _measured_tiles(self):
        measured_on = {"evaluated_on": "evaluated images", **self.results, **self.measured}
        kind = measured_on["evaluated_on"]
        if self.measured:
            names = [name for name in _TILES if markup.is_number(self.measured.get(name))]
            if "accuracy" in names:
                names.remove("error")
            images, step = (markup.text(self.measured.get(name)) for name in ("images", "step"))
            note = f"{images} {kind}, step {step}"
            return [
                _tile(markup.title(name), markup.value(self.measured[name], name), note)
                for name in names
            ]
        # Not evaluated yet: what the training itself has measured last.
        for name in self.task.SHOWN:
            for entry in [self.results, *reversed(self.entries)]:
                if name in entry:
                    note = f"{kind}, step {markup.text(entry['step'])}"
                    return [_tile(markup.title(name), markup.value(entry[name], name), note)]
        return []

    def settings(self):
        """The settings that differ from the defaults, and all."""
        fields = self.fields
        changed = [
            name
            for name, value in self.values.items()
            if name not in fields or value != fields[name].default
        ]
        rows = [
            [
                self._flag(name),
                _setting(self.values[name]),
                _setting(fields[name].default) if name in fields else "–",
            ]
            for name in changed
        ]
        shown = [element("p", "Every setting has its default.")]
        if rows:
            caption = "Settings that differ from the defaults"
            header = ["setting", "value", "default"]
            shown = [markup.table(header, rows, caption, class_="chosen")]
        sections = {}
        for name in self.values:
            heading = fields[name].metadata["section"] if name in fields else "Unknown"
            sections.setdefault(heading, []).append(name)
        every = [
            [
                element("h3", heading),
                markup.table(
                    ["setting", "value", "meaning"],
                    [
                        [self._flag(n), _setting(self.values[n]), self._help(n) or "–"]
                        for n in names
                    ],
                    class_="settings",
                ),
            ]
            for heading, names in sections.items()
        ]
        summary = element("summary", f"All {len(self.values)} settings")
        return [shown, element("details", summary, every)]

    def _help(self, name):
        return self.fields[name].metadata["help"] if name in self.fields else None

    def _flag(self, name):
        return element("th", element("code", f"--{name}"), scope="row", title=self._help(name))

    def evaluation(self):
        """Everything that was measured."""
        if not self.measured:
            program = self.config["task"].replace("_", "-")
            return [
                element("p", "Not evaluated: ", element("code", f"{program}-eval"), " does that.")
            ]
        return measured.section(self.measured)

    def curves(self):
        """What the training logged."""
        return charts.section(self.entries, self.task.SHOWN) or [
            element("p", "The log is empty so far.")
        ]

    def figures(self):
        """The figures that lie in the run's directory, within the page."""
        folder = self.run.file("figures")
        files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        files = [file for file in files if file.endswith(".png")]
        if not files:
            return [element("p", "None drawn: ", element("code", "--figures"), " does that.")]
        note = (
            "As they lay in figures/, each of the latest evaluation that drew it; large ones with "
            "fewer colours than there."
        )
        return [element("p", note, class_="note"), [_figure(folder, file) for file in files]]

    def reproduction(self):
        """What it takes to repeat the run: command, versions, machine, data."""
        command = element("pre", element("code", self.command()), tabindex=0)
        software = {
            **self.config.get("versions", {}),
            "backend": self.config["backend"],
            "git_commit": self.config.get("git_commit") or "not of a git checkout",
        }
        data = dict(self.record)
        if "labelled_indices" in data:
            data["labelled_images"] = len(data.pop("labelled_indices"))
        end = {name: part for name, part in self.results.items() if name not in _ELSEWHERE}
        blocks = [
            *measured.described(software, "Software"),
            *measured.described(self.results.get("hardware", {}), "Hardware"),
            *measured.described(data, "Data"),
            *measured.described(end, "At the end of the training"),
        ]
        return [command, measured.beside(blocks)]

    def command(self):
        """The command line that trains with the run's settings, into a directory of its own."""
        own = ("logdir", "overwrite")
        base = {name: field.default for name, field in self.fields.items() if name not in own}
        words = [f"python -m {self.config['task']}.train"]
        words += map(shlex.quote, flags_for(self.values, base))
        command = " \\\n    ".join(words)
        backend = self.config["backend"]
        return command if backend == "tensorflow" else f"KERAS_BACKEND={backend} {command}"


def _dataset(name):
    """The name of a data set in a title: of a folder, the last part, since all are settings."""
    return (file_name(name) or name) if name.startswith(FOLDER) else name


def _tile(title, value, note):
    return element(
        "div",
        element("p", title, class_="note"),
        element("p", value, class_="large"),
        element("p", note, class_="note"),
        class_="tile",
    )


def _setting(value):
    shown = value if isinstance(value, str) and value else json.dumps(value)
    return element("td", element("code", shown))


def _figure(folder, file):
    name = file.removesuffix(".png")
    caption = _CAPTIONS.get(name, f"{markup.title(name)}.")
    try:
        content, size, step = _picture(os.path.join(folder, file))
    except OSError:
        return element("p", f"figures/{file} is no picture that can be read.")
    image = element(
        "img",
        src=f"data:image/png;base64,{base64.b64encode(content).decode()}",
        alt=caption,
        width=size[0],
        height=size[1],
    )
    step = f", step {step}" if step else ""
    source = element("span", f" figures/{file}{step}", class_="note")
    return element("figure", image, element("figcaption", caption, source))


def _picture(path):
    """A PNG file, in fewer colours if it is large.

    Returns:
        Its bytes, width and height in pixels, and the step that it shows, or None if it tells none.
    """
    with open(path, "rb") as file:
        content = file.read()
    with image_files.open_image(io.BytesIO(content), ["PNG"]) as image:
        step = image.info.get("step")
        if len(content) <= LARGE:
            return content, image.size, step
        small = image.convert("RGB")
    if small.width > WIDEST:
        small = small.resize((WIDEST, round(small.height * WIDEST / small.width)))
    buffer = io.BytesIO()
    small.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return min(content, buffer.getvalue(), key=len), small.size, step
