"""Imports only go down the list of packages, and no task knows another."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    ("semisup.errors", "semisup.files", "semisup.importing"),
    ("semisup.cli",),
    ("semisup.embeddings",),
    ("semisup.similarity",),
    ("semisup.association",),
    ("semisup.data", "semisup.augmentation", "semisup.architectures"),
    ("semisup.models",),
    ("semisup.machine",),
    ("semisup.run",),
    ("semisup.report",),
    ("semisup.use",),
    (
        "semisup.config",
        "semisup.task",
        "semisup.eval",
        "semisup.export",
        "semisup.label",
        "semisup.predict",
        "semisup.train",
    ),
    ("clustering", "domain_adaptation", "multimodal", "segmentation"),
    ("scripts",),
)
RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
TASKS = ("clustering", "domain_adaptation", "multimodal", "segmentation")


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def home(module):
    """The entry of `LAYERS` that a module belongs to, or None for modules of other projects."""
    return next((name for name in RANKS if f"{module}.".startswith(f"{name}.")), None)


def imports(path):
    """The modules that a file imports anywhere, each as far as it is a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files():
    for package in ("semisup", *TASKS, "scripts"):
        yield from (ROOT / package).rglob("*.py")


def test_every_module_has_a_place():
    homeless = [str(path) for path in files() if home(module_of(path)) is None]
    assert homeless == [str(ROOT / "semisup" / "__init__.py")]


def test_imports_only_go_down():
    climbing = [
        f"{module_of(path)} imports {imported}"
        for path in files()
        for imported in imports(path)
        if home(module_of(path)) and home(imported)
        if RANKS[home(imported)] > RANKS[home(module_of(path))]
    ]
    assert climbing == []


def test_no_task_imports_another():
    crossing = [
        f"{module_of(path)} imports {imported}"
        for path in files()
        for imported in imports(path)
        if home(module_of(path)) in TASKS and home(imported) in TASKS
        if home(module_of(path)) != home(imported)
    ]
    assert crossing == []
