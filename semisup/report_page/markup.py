"""Elements of an HTML page, and how numbers are written in it.

Pages are built as trees and never from strings, so that all text and attributes are escaped.
"""

import math
import numbers
import re
from xml.etree import ElementTree

_BLOCKS = ("details", "div", "figure", "h1", "h2", "h3", "p", "section", "svg", "table", "tr")
_ACRONYMS = {"nmi": "NMI", "ari": "ARI", "auroc": "AUROC", "mmd": "MMD", "mc": "Monte Carlo"}
_FRACTIONS = ("error", "accuracy", "coverage", "confidence")


def element(tag, *children, **attributes):
    """An element.

    Args:
        tag: its name.
        *children: texts, elements, and lists of them.
        **attributes: its attributes; `class_` stands for class, `data_step` for data-step. Those
            that are None are left out.

    Returns:
        An `ElementTree.Element`.
    """
    node = ElementTree.Element(
        tag,
        {
            name.rstrip("_").replace("_", "-"): str(value)
            for name, value in attributes.items()
            if value is not None
        },
    )
    if tag in _BLOCKS:
        node.tail = "\n"
    _append(node, children)
    return node


def _append(node, children):
    for child in children:
        if isinstance(child, (list, tuple)):
            _append(node, child)
        elif ElementTree.iselement(child):
            node.append(child)
        elif len(node):
            node[-1].tail = (node[-1].tail or "") + str(child)
        else:
            node.text = (node.text or "") + str(child)


def document(root):
    """An `html` element as the text of a file."""
    return f"<!DOCTYPE html>\n{ElementTree.tostring(root, encoding='unicode', method='html')}\n"


def table(header, rows, caption=None, class_=None):
    """A table that scrolls by itself where it is wider than the page.

    Args:
        header: the columns' headings: texts, or elements `th`; None for a table without.
        rows: lists of cells: texts, or elements `td`; the first of each heads its row.
        caption: what the table shows.
        class_: class of the table.
    """
    node = element("table", class_=class_)
    if caption is not None:
        node.append(element("caption", caption))
    if header is not None:
        cells = [_cell(cell, "th", scope="col") for cell in header]
        node.append(element("thead", element("tr", cells)))
    body = [
        element("tr", _cell(first, "th", scope="row"), [_cell(cell, "td") for cell in others])
        for first, *others in rows
    ]
    node.append(element("tbody", body))
    return element("div", node, class_="scroll")


def _cell(cell, tag, **attributes):
    if ElementTree.iselement(cell) and cell.tag in ("td", "th"):
        return cell
    return element(tag, cell, **attributes)


def breakable(text):
    """A name that may be broken after its underscores and slashes."""
    parts = re.split(r"(?<=[_/])", text)
    return [part for word in parts for part in (word, element("wbr"))][:-1]


def number_heading(text):
    """The heading of a column of numbers."""
    return element("th", text, class_="number", scope="col")


def bar(share, text):
    """A cell with a text on a bar whose length is a share; None has no bar."""
    style = None if share is None else f"--v:{share:.4f}"
    return element("td", text, class_="number bar", style=style)


def words(name):
    """The name of a value as words: `nmi` is NMI, `mean_entropy` mean entropy."""
    return " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))


def title(name):
    """The name of a value as a title: `mean_entropy` is Mean entropy."""
    return words(name)[:1].upper() + words(name)[1:]


def is_number(value):
    """Whether a value of a JSON file is a number, which true and false are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def value(content, name=""):
    """A text, number or nothing of a JSON file, as it is read by people and by programs.

    Args:
        content: the value.
        name: its name: errors and accuracies are written in per cent.

    Returns:
        An element; of a number, its attribute `value` has all digits.
    """
    if not is_number(content):
        return element("span", text(content))
    return element("data", text(content, name), value=repr(content))


def text(content, name=""):
    """What `value` shows."""
    if content is None:
        return "–"
    if isinstance(content, bool):
        return "yes" if content else "no"
    if not is_number(content):
        return str(content)
    if name.endswith(_FRACTIONS) and math.isfinite(content):
        return f"{100 * content:.2f} %"
    return f"{content:,}" if isinstance(content, int) else f"{content:.5g}"


def duration(seconds):
    """Seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
