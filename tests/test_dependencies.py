"""Tests of what `setup.py` declares: all that is imported, and versions that were tested."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "semisup",
    "domain_adaptation",
    "clustering",
    "multimodal",
    "segmentation",
    "scripts",
    "tests",
)


def imported(path):
    """Top-level names of the packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def plain(distribution):
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared():
    """Names of all distributions in `setup.py`."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    return {plain(name) for name in re.findall(r'"([\w.-]+)(?:\[[\w-]+\])?[=>]=[^"]+"', text)}


def test_every_package_that_is_imported_is_declared():
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    own = {path.stem for path in paths} | set(FOLDERS)
    names = {name for path in paths for name in imported(path)} - own
    distributions = metadata.packages_distributions()
    missing = {
        name
        for name in names - sys.stdlib_module_names
        if not declared() & {plain(found) for found in distributions.get(name, [name])}
    }
    assert not missing


def test_every_version_that_was_tested_is_one_that_is_allowed():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name, least, end in re.findall(r'"([\w.-]+)>=([\d.]+),<([\d.]+)"', text):
        pinned, *ends = ([int(part) for part in v.split(".")] for v in (pins[name], least, end))
        assert ends[0] <= pinned < ends[1], name
