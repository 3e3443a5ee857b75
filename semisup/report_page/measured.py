"""Tables of what an evaluation measured: classes, clusters, and anything else by its name."""

import json

from semisup.report_page import markup
from semisup.report_page.markup import element

CLASSES = 60
"""Classes and clusters of a confusion matrix, at most, that is shown whole."""

CONFUSIONS = 30
"""The most frequent confusions that are listed of a larger one."""

FEW = 12
"""Items of a list, at most, that are shown in a cell."""

ROWS = 1000
"""Rows of a table and values of a list, at most, other than those of classes."""

_CLASSIFICATION = ("per_class_accuracy", "confusion_matrix")
_SHORT = 4


def section(content):
    """Everything that an evaluation measured.

    Args:
        content: content of `evaluation.json`.

    Returns:
        List of elements.
    """
    rest, blocks = dict(content), []
    domains = {
        name: rest.pop(name)
        for name, part in content.items()
        if isinstance(part, dict) and _classifies(part)
    }
    if _classifies(content):
        own = {name: rest.pop(name) for name in _CLASSIFICATION}
        # Of an adaptation, they are those of the target once more.
        if not any(own.items() <= domain.items() for domain in domains.values()):
            blocks += _classification(own, _cluster_names(content, own))
    if _has_clusters(content):
        blocks.append(_clusters(rest.pop("cluster_sizes"), rest.pop("matching", None)))
    nested = {name: rest.pop(name) for name in content if _is_nested(rest.get(name))}
    shown = [beside([*described(rest, "Overall"), *described(nested), *blocks])]
    for name, part in domains.items():
        tables = {key: part[key] for key in _CLASSIFICATION}
        others = {key: part[key] for key in part if key not in tables}
        shown += [
            element("h3", markup.title(name)),
            beside([*described(others, "Overall"), *_classification(tables)]),
        ]
    return shown


def beside(blocks):
    """Blocks side by side, as far as there is room."""
    return element("div", [element("div", block) for block in blocks], class_="beside")


def described(content, caption=None):
    """Whatever a JSON object holds.

    Args:
        content: dictionary of anything that JSON can say.
        caption: what it describes.

    Returns:
        List of blocks, each a list of elements: a table of its numbers and texts, and one or
        several for each name under which more is nested.
    """
    single = {name: part for name, part in content.items() if not _is_nested(part)}
    blocks = []
    if single:
        rows = [
            [markup.words(name), _shown(part, name)] for name, part in list(single.items())[:ROWS]
        ]
        blocks.append([markup.table(None, rows, caption, class_="values"), _left_out(single)])
    for name, part in content.items():
        title = f"{caption}: {markup.words(name)}" if caption else markup.title(name)
        if isinstance(part, dict):
            blocks += described(part, title)
        elif name not in single:
            blocks.append([_listed(name, part, title), _left_out(part)])
    return blocks


def _is_nested(part):
    """Whether a value needs more room than a cell of a table."""
    if isinstance(part, list):
        return len(part) > FEW or any(isinstance(item, (dict, list)) for item in part)
    return isinstance(part, dict)


def _shown(part, name):
    if isinstance(part, list):
        return ", ".join(markup.text(item, name) for item in part) or "none"
    return markup.value(part, name)


def _listed(name, part, title):
    if all(isinstance(row, dict) for row in part):
        columns = list(dict.fromkeys(key for row in part for key in row))
        rows = [[_cell(row.get(key), key) for key in columns] for row in part[:ROWS]]
        return markup.table(map(markup.words, columns), rows, title)
    if all(isinstance(row, list) for row in part):
        rows = [[place, *map(_cell, row[:ROWS])] for place, row in enumerate(part[:ROWS])]
        return markup.table(None, rows, title)
    words = ", ".join(_cell(item, name) for item in part[:ROWS])
    return [element("p", title, class_="caption"), element("p", words)]


def _cell(item, name=""):
    return json.dumps(item) if isinstance(item, (dict, list)) else markup.text(item, name)


def _left_out(items):
    if len(items) <= ROWS:
        return []
    text = f"The first {ROWS:,} of {len(items):,}; the JSON file in the run's directory has all."
    return element("p", text, class_="note")


def _classifies(content):
    accuracies, matrix = (content.get(name) for name in _CLASSIFICATION)
    return (
        isinstance(accuracies, dict)
        and isinstance(matrix, list)
        and len(matrix) == len(accuracies) > 0
        and all(isinstance(row, list) and len(row) == len(matrix[0]) for row in matrix)
        and len(matrix[0]) >= len(matrix)
    )


def _classification(content, cluster_names=None):
    """Blocks with accuracies and confusions of the classes.

    Args:
        content: dictionary with `per_class_accuracy` and `confusion_matrix`.
        cluster_names: for each column of the matrix, the class that it stands for, or "", and the
            cluster; by default the columns are the classes.
    """
    accuracies, matrix = (content[name] for name in _CLASSIFICATION)
    names = list(accuracies)
    rows = [
        [name, _count(sum(row)), markup.bar(accuracy, markup.value(accuracy, "accuracy"))]
        for (name, accuracy), row in zip(accuracies.items(), matrix, strict=True)
    ]
    header = ["class", *map(markup.number_heading, ("images", "accuracy"))]
    columns = cluster_names or [(name, "") for name in names]
    columns += [("–", "")] * (len(matrix[0]) - len(columns))
    small = max(len(names), len(columns)) <= CLASSES
    return [
        [markup.table(header, rows, "Accuracy of each class")],
        (_matrix if small else _confusions)(names, columns, matrix),
    ]


def _matrix(names, columns, matrix):
    rows = []
    for place, (name, row) in enumerate(zip(names, matrix, strict=True)):
        total = sum(row)
        cells = [element("td", count, class_="none") for count in row]
        for i, count in enumerate(row):
            if count:
                cells[i].set("class", "right" if i == place else "wrong")
                # The root, so that rare confusions can be seen.
                cells[i].set("style", f"--v:{(count / total) ** 0.5:.3f}")
                taken_for = " ".join(filter(None, columns[i]))
                cells[i].set("title", f"{name} taken for {taken_for}: {count:,} of {total:,}")
        rows.append([name, *cells])
    upright = all(len(column) <= _SHORT for column, _ in columns)
    heads = [
        element(
            "th",
            element("span", column, title=column),
            element("span", cluster, class_="note") if cluster else [],
            scope="col",
        )
        for column, cluster in columns
    ]
    note = (
        "Images of a class (row) by what they are taken for (column); the stronger the colour, the "
        "larger their share of the class."
    )
    return [
        markup.table(
            ["class", *heads],
            rows,
            "Confusion matrix",
            class_="matrix" if upright else "matrix turned",
        ),
        element("p", note, class_="note"),
    ]


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
            _count(-negative),
            markup.bar(-negative / sum(matrix[i]), f"{-100 * negative / sum(matrix[i]):.2f} %"),
        ]
        for negative, i, j in wrong[:CONFUSIONS]
    ]
    header = ["class", "taken for", *map(markup.number_heading, ("images", "share of the class"))]
    note = (
        f"{len(rows):,} of {len(wrong):,} kinds; the matrix of {len(names):,} × {len(columns):,} "
        "is in evaluation.json."
    )
    return [
        markup.table(header, rows, "Most frequent confusions"),
        element("p", note, class_="note"),
    ]


def _count(count):
    return element("td", markup.value(count), class_="number")


def _has_clusters(content):
    sizes, matching = content.get("cluster_sizes"), content.get("matching")
    return (
        isinstance(sizes, list)
        and all(map(markup.is_number, sizes))
        and (matching is None or (isinstance(matching, list) and len(matching) == len(sizes)))
    )


def _cluster_names(content, tables):
    """Class and cluster of each column of a matrix of matched clusters; None where there are none.

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
        [
            cluster,
            markup.bar(size / largest, markup.value(size)),
            *([markup.text(matching[cluster])] if matching else []),
        ]
        for cluster, size in enumerate(sizes[:ROWS])
    ]
    header = ["cluster", markup.number_heading("images"), *(["matched class"] if matching else [])]
    return [markup.table(header, rows, "Clusters"), _left_out(sizes)]
