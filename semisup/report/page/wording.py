"""Names and values of JSON files as people read them."""

import math
import numbers

_ACRONYMS = {
    "nmi": "NMI",
    "ari": "ARI",
    "auroc": "AUROC",
    "mmd": "MMD",
    "mc": "Monte Carlo",
    "iou": "IoU",
}
_FRACTIONS = ("error", "accuracy", "coverage", "confidence", "iou")


def words(name):
    """Write the name of a value as words: `nmi` is NMI, `mean_entropy` mean entropy."""
    return " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))


def title(name):
    """Write the name of a value as a title: `mean_entropy` is Mean entropy."""
    return words(name)[:1].upper() + words(name)[1:]


def is_number(value):
    """Return whether a value of a JSON file is a number, which true and false are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def text(value, name=""):
    """Write a text, number or nothing of a JSON file; errors and accuracies in per cent.

    Args:
        value: the value.
        name: its name.
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not is_number(value):
        return str(value)
    if name.endswith(_FRACTIONS) and math.isfinite(value):
        return f"{100 * value:.2f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def duration(seconds):
    """Write seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
