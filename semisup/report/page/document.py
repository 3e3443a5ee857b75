"""The parts of the report on a run, and the page that they make."""

import base64
import dataclasses
import hashlib
import io
import json
import os
import re
import shlex
from importlib import resources

import jinja2
from markupsafe import Markup
from PIL import Image

from semisup.cli.dataset_names import file_name, is_folder
from semisup.cli.flags import flags_for
from semisup.cli.run_options import check_run
from semisup.data import image_files
from semisup.errors import UserError
from semisup.files.names import printable
from semisup.files.opening import open_regular
from semisup.report.page import charts, measured, wording
from semisup.report.page.tables import Cell, Table, described, value

LARGE = 400_000
"""Bytes of a PNG file above which its colours are reduced to a palette."""

WIDEST = 2400
"""Pixels, at most, of the width of such a figure."""

_TILES = ("accuracy", "error", "nmi", "ari", "coverage")
_CAPTIONS = {
    "associations": "Associations of labelled with unlabelled images, early and late in the "
    "training: the darker a line, the more probable the step.",
    "cluster_sizes": "Sizes of the clusters over the training.",
    "clusters": "The most probable images of each cluster.",
    "confusion": "Confusion matrix, labelled images and mistakes.",
    "domains": "Embeddings of both domains by t-SNE, by domain and by class.",
    "excitation": "What excites kernels most, and what its pixels contribute.",
    "kernels": "Kernels of the first convolution.",
    "maps": "Images, their true and their predicted classes, and the mistakes (dark).",
    "neighbours": "Images and those whose embeddings are most similar.",
    "pixel_associations": "Pixels of test images (left), and the labelled pixels to which their "
    "walks lead back most probably.",
    "pixel_confusion": "Confusion matrix of the pixels, as shares of each true class.",
    "tsne": "Embeddings by t-SNE.",
}
_ELSEWHERE = ("settings", "command", "versions", "hardware", "backend", "git_commit")
"""What `results.json` holds that has its own place in the page."""


def render(run, task):
    """Return the report on a run as the text of an HTML file.

    Args:
        run: a `RunDirectory`.
        task: its `Task`.

    Raises:
        UserError: if the directory holds no run, or a file of it is damaged.
    """
    check_run(run.path)
    config = run.read_config()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semisup.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = _breakable
    report = Report(run, task, config)
    style, script = (asset(f"page.{kind}") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
    )
    return environment.get_template("page.html").render(
        report=report,
        curves=charts.section(report.entries, task.shown),
        style=style,
        script=script,
        policy="; ".join(policy),
    )


def asset(name):
    """Return the text of a file that the page holds."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _breakable(text):
    """Allow a line break after each underscore and slash of a name."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/])", text))


class Report:
    """What a run left behind, described for the template.

    Args:
        run: a `RunDirectory`.
        task: its `Task`.
        config: content of its `config.json`.
    """

    def __init__(self, run, task, config):
        self.run = run
        self.task = task
        self.config = _shown(config)
        # Kept as they are, for the command line.
        self.values = config["settings"]
        self.fields = {field.name: field for field in dataclasses.fields(task.config_class)}
        self.record = _shown(run.read_record() or {})
        self.results = _shown(run.read_results() or {})
        self.measured = _shown(run.read_json("evaluation.json") or {})
        self.entries = run.read_metrics()
        self.name = printable(os.path.basename(run.path))
        self.task_title = task.title
        self.program = self.config["task"].replace("_", "-")
        domains = (self.values.get("dataset"), self.values.get("target_dataset"))
        self.title = printable(" → ".join(_dataset(domain) for domain in domains if domain))

    def tiles(self):
        """Return what came of the run, at a glance: title, value and remark of each tile."""
        tiles = self._measured_tiles()
        step = max((entry["step"] for entry in self.entries), default=0)
        step, steps = self.results.get("step", step), self.values.get("max_steps")
        complete = "training complete" if self.results else "training not complete"
        tiles.append(("Steps", f"{step:,}", f"of {wording.text(steps)}: {complete}"))
        seconds = self.results.get("wall_time_seconds")
        if seconds is None and self.entries:
            seconds = self.entries[-1]["seconds"]
        if seconds is not None:
            speed = self.results.get("median_steps_per_second")
            remark = f"{speed:.3g} steps a second (median)" if speed else ""
            tiles.append(("Wall time", wording.duration(seconds), remark))
        if "labelled_indices" in self.record:
            count = len(self.record["labelled_indices"])
            tiles.append(("Labelled images", f"{count:,}", "of the training images"))
        return tiles

    def _measured_tiles(self):
        measured_on = {"evaluated_on": "evaluated images", **self.results, **self.measured}
        kind = measured_on["evaluated_on"]
        if self.measured:
            names = [name for name in _TILES if wording.is_number(self.measured.get(name))]
            if "accuracy" in names:
                names.remove("error")
            images, step = (wording.text(self.measured.get(name)) for name in ("images", "step"))
            remark = f"{images} {kind}, step {step}"
            return [
                (wording.title(name), value(self.measured[name], name), remark) for name in names
            ]
        # Not evaluated yet: show what the training itself measured last.
        for name in self.task.shown:
            for entry in [self.results, *reversed(self.entries)]:
                if name in entry:
                    remark = f"{kind}, step {wording.text(entry['step'])}"
                    return [(wording.title(name), value(entry[name], name), remark)]
        return []

    @property
    def changed(self):
        """The settings that differ from the defaults."""
        config = self._resolved()
        rows = [
            [
                self._flag(name),
                _setting(value),
                _setting(self.fields[name].default) if name in self.fields else "–",
            ]
            for name, value in self.values.items()
            if self._differs(config, name, value)
        ]
        header = ["setting", "value", "default"]
        return Table(rows, "Settings that differ from the defaults", header, kind="chosen")

    def _resolved(self):
        """Return the run's configuration, or None if its settings are not those of this version."""
        try:
            return self.task.config_class.from_dict(self.values)
        except UserError:
            return None

    def _differs(self, config, name, value):
        """Return whether a setting is another one than its default stands for in this run."""
        if name not in self.fields:
            return True
        default = self.fields[name].default
        if value == default or config is None:
            return value != default
        try:
            return getattr(dataclasses.replace(config, **{name: default}), name) != value
        except UserError:
            # The default would contradict the other settings.
            return True

    def settings(self):
        """Return all settings: pairs of the heading of a section and its table."""
        sections = {}
        for name, setting in self.values.items():
            known = name in self.fields
            heading = self.fields[name].metadata["section"] if known else "Unknown"
            row = [self._flag(name), _setting(setting), self._help(name) or "–"]
            sections.setdefault(heading, []).append(row)
        header = ["setting", "value", "meaning"]
        return [
            (heading, Table(rows, header=header, kind="settings"))
            for heading, rows in sections.items()
        ]

    def _help(self, name):
        return self.fields[name].metadata["help"] if name in self.fields else None

    def _flag(self, name):
        return Cell(printable(f"--{name}"), is_code=True, hint=self._help(name))

    def evaluation(self):
        """Return everything that was measured: see `measured.parts`."""
        return measured.parts(self.measured) if self.measured else []

    def figures(self):
        """Return the figures that lie in the run's directory."""
        folder = self.run.file("figures")
        files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [_figure(folder, file) for file in files if file.endswith(".png")]

    def circumstances(self):
        """Return tables of versions, machine and data."""
        software = {
            **self.config.get("versions", {}),
            "backend": self.config["backend"],
            "git_commit": self.config.get("git_commit") or "not of a git checkout",
        }
        data = dict(self.record)
        if "labelled_indices" in data:
            data["labelled_images"] = len(data.pop("labelled_indices"))
        end = {name: part for name, part in self.results.items() if name not in _ELSEWHERE}
        return [
            *described(software, "Software"),
            *described(self.results.get("hardware", {}), "Hardware"),
            *described(data, "Data"),
            *described(end, "At the end of the training"),
        ]

    def command(self):
        """Return the command line that trains with the run's settings, elsewhere."""
        own = ("logdir", "overwrite")
        base = {name: field.default for name, field in self.fields.items() if name not in own}
        words = [f"python -m {self.config['task']}.train"]
        words += map(shlex.quote, flags_for(self.values, base))
        command = " \\\n    ".join(words)
        backend = self.config["backend"]
        return command if backend == "tensorflow" else f"KERAS_BACKEND={backend} {command}"


def _shown(content):
    """Make all texts in the content of a JSON file printable."""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, dict):
        return {printable(name): _shown(part) for name, part in content.items()}
    return [_shown(part) for part in content] if isinstance(content, list) else content


def _dataset(name):
    """Return the name of a data set for a title: of a folder, only the last part."""
    return (file_name(name) or name) if is_folder(name) else name


def _setting(setting):
    is_text = isinstance(setting, str) and setting
    return Cell(printable(setting if is_text else json.dumps(setting)), is_code=True)


def _figure(folder, file):
    """Return what the page shows of a figure; it has no `content` if it cannot be read."""
    name = printable(file.removesuffix(".png"))
    figure = {
        "file": printable(file),
        "caption": _CAPTIONS.get(name, f"{wording.title(name)}."),
        "content": None,
    }
    try:
        content, size, step = _picture(os.path.join(folder, file))
    except OSError:
        return figure
    encoded = base64.b64encode(content).decode()
    return {**figure, "content": encoded, "size": size, "step": printable(step or "")}


def _picture(path):
    """Read a PNG file, and reduce its colours if it is large.

    Returns:
        Its bytes, width and height in pixels, and the step that it shows, or None if it names none.
    """
    with open_regular(path) as file:
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
