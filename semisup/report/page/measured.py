"""Tables of what an evaluation measured: classes, clusters, and anything else by its name."""

from semisup.report.page import wording
from semisup.report.page.tables import (
    ROWS,
    Cell,
    Table,
    bar,
    described,
    is_nested,
    left_out,
    numbers,
    value,
)

CLASSES = 60
"""Classes and clusters of a confusion matrix, at most, that is shown whole."""

CONFUSIONS = 30
"""The most frequent confusions that are listed of a larger one."""

_CLASSIFICATION = ("per_class_accuracy", "confusion_matrix")
_SHORT = 4


def parts(content):
    """Show everything that an evaluation measured.

    Args:
        content: content of `evaluation.json`.

    Returns:
        List of pairs: a heading or None, and `Table`s.
    """
    rest, tables = dict(content), []
    domains = {
        name: rest.pop(name)
        for name, part in content.items()
        if isinstance(part, dict) and _classifies(part)
    }
    if _classifies(content):
        own = {name: rest.pop(name) for name in _CLASSIFICATION}
        # In an adaptation, they repeat those of the target.
        if not any(own.items() <= domain.items() for domain in domains.values()):
            tables += _classification(own, _cluster_columns(content, own))
    if _has_clusters(content):
        tables.append(_clusters(rest.pop("cluster_sizes"), rest.pop("matching", None)))
    nested = {name: rest.pop(name) for name in content if is_nested(rest.get(name))}
    shown = [(None, [*described(rest, "Overall"), *described(nested), *tables])]
    for name, part in domains.items():
        others = {key: part[key] for key in part if key not in _CLASSIFICATION}
        tables = [*described(others, "Overall"), *_classification(part)]
        shown.append((wording.title(name), tables))
    return shown


def _classifies(content):
    accuracies, matrix = (content.get(name) for name in _CLASSIFICATION)
    return (
        isinstance(accuracies, dict)
        and isinstance(matrix, list)
        and len(matrix) == len(accuracies) > 0
        and all(isinstance(row, list) and len(row) == len(matrix[0]) for row in matrix)
        and len(matrix[0]) >= len(matrix)
    )


def _classification(content, columns=None):
    """Show accuracies and confusions of the classes.

    Args:
        content: dictionary with `per_class_accuracy` and `confusion_matrix`.
        columns: for each column of the matrix, the class that it stands for, or "", and the
            cluster; by default the columns are the classes.
    """
    accuracies, matrix = (content[name] for name in _CLASSIFICATION)
    names = list(accuracies)
    rows = [
        [name, value(sum(row), kind="number"), bar(accuracy, accuracy, "accuracy")]
        for (name, accuracy), row in zip(accuracies.items(), matrix, strict=True)
    ]
    columns = columns or [(name, "") for name in names]
    columns += [("–", "")] * (len(matrix[0]) - len(columns))
    small = max(len(names), len(columns)) <= CLASSES
    return [
        Table(rows, "Accuracy of each class", ["class", *numbers("count", "accuracy")]),
        (_matrix if small else _confusions)(names, columns, matrix),
    ]


def _matrix(names, columns, matrix):
    def cell(i, j, total):
        count = matrix[i][j]
        if not count:
            return Cell("0", kind="none")
        taken_for = " ".join(filter(None, columns[j]))
        return Cell(
            str(count),
            kind="right" if i == j else "wrong",
            # A square root makes rare confusions visible.
            share=(count / total) ** 0.5,
            hint=f"{names[i]} taken for {taken_for}: {count:,} of {total:,}",
        )

    rows = [
        [name, *(cell(i, j, sum(matrix[i])) for j in range(len(columns)))]
        for i, name in enumerate(names)
    ]
    upright = all(len(column) <= _SHORT for column, _ in columns)
    heads = [Cell(column, hint=column, note=cluster or None) for column, cluster in columns]
    return Table(
        rows,
        "Confusion matrix",
        ["class", *heads],
        kind="matrix" if upright else "matrix turned",
        note="What is of a class (row) by what it is taken for (column); the stronger the "
        "colour, the larger its share of the class.",
    )


def _confusions(names, columns, matrix):
    wrong = sorted(
        (-count, i, j)
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    )
    rows = [
        [
            names[i],
            " ".join(filter(None, columns[j])),
            value(-negative, kind="number"),
            # This name makes it a percentage.
            bar(-negative / sum(matrix[i]), -negative / sum(matrix[i]), "error"),
        ]
        for negative, i, j in wrong[:CONFUSIONS]
    ]
    return Table(
        rows,
        "Most frequent confusions",
        ["class", "taken for", *numbers("count", "share of the class")],
        note=f"{len(rows):,} of {len(wrong):,} kinds; the matrix of {len(names):,} × "
        f"{len(columns):,} is in evaluation.json.",
    )


def _has_clusters(content):
    sizes, matching = content.get("cluster_sizes"), content.get("matching")
    return (
        isinstance(sizes, list)
        and all(map(wording.is_number, sizes))
        and (matching is None or (isinstance(matching, list) and len(matching) == len(sizes)))
    )


def _cluster_columns(content, tables):
    """Return class and cluster of each column of a matrix of matched clusters, or None.

    The columns are the clusters in the order of their classes, and then those that are left over.
    """
    if not _has_clusters(content) or not content.get("matching"):
        return None
    matching = content["matching"]
    cluster_of = {name: f"cluster {cluster}" for cluster, name in enumerate(matching)}
    left_over = [("", f"cluster {i}") for i, name in enumerate(matching) if name is None]
    columns = [
        *((name, cluster_of.get(name, "no cluster")) for name in tables["per_class_accuracy"]),
        *left_over,
    ]
    return columns if len(columns) == len(tables["confusion_matrix"][0]) else None


def _clusters(sizes, matching):
    largest = max(sizes, default=0) or 1
    rows = [
        [str(cluster), bar(size / largest, size), *([wording.text(name)] if matching else [])]
        for cluster, (size, name) in enumerate(zip(sizes, matching or sizes, strict=True))
    ]
    header = ["cluster", *numbers("images"), *(["matched class"] if matching else [])]
    return Table(rows[:ROWS], "Clusters", header, note=left_out(sizes))
