"""What a folder of images holds, in three lines."""

from collections import Counter
from collections.abc import Sequence

from semisup.cli.choices import FITS
from semisup.data import image_files
from semisup.data.folder_layout import Layout, counted
from semisup.files.names import printable

_CLASSES = 12
_RESIZED = dict(
    zip(
        FITS,
        (
            "each resized whole to {0} x {0}",
            "the centre of each resized to {0} x {0}",
            "each resized to {0} x {0} with black margins",
        ),
        strict=True,
    )
)


def lines(
    layout: Layout,
    sizes: Sequence[tuple[int, int]],
    *,
    broken: Sequence[str] = (),
    image_size: int = 0,
    fit: str = "squash",
) -> tuple[str, str, str]:
    """Say what was found: classes with their counts; other splits and skipped files; sizes.

    Args:
        layout: what lies where.
        sizes: (width, height) in pixels of each image.
        broken: files that are left out since they cannot be read, with the reason.
        image_size: what the images are resized to; 0 if they are not.
        fit: how: see `semisup.data.pixels.to_array`.

    Returns:
        Three lines, each to be shown as it is.
    """
    others = "; ".join([*_other_splits(layout), *_left_out(layout, broken)])
    return (
        printable(f"{layout.root}: {_classes(layout)}"),
        printable(f"  {others}"),
        printable(f"  {_sizes(sizes, image_size, fit)}"),
    )


def _classes(layout: Layout) -> str:
    split = next((split for split in ("train", "test") if split in layout.files), None)
    if split is None:
        return "no classes"
    counts = Counter(layout.labels[split])
    numbers = [counts[label] for label in range(len(layout.class_names))]
    named = [f"{name} {n:,}" for name, n in zip(layout.class_names, numbers, strict=True)]
    more = f" and {len(named) - _CLASSES} more" if len(named) > _CLASSES else ""
    purpose = "to train with" if split == "train" else "to test on, and none to train with"
    return (
        f"{_images(sum(numbers))} {purpose}, in {len(named)} "
        f"class{'es' * (len(named) > 1)} of {_range(numbers)}: {', '.join(named[:_CLASSES])}{more}"
    )


def _other_splits(layout: Layout) -> list[str]:
    found = []
    for split in ("unlabelled", "test", "validation"):
        if split in layout.files:
            classes = len(set(layout.labels[split]))
            all_classes = split == "unlabelled" or classes == len(layout.class_names)
            of = "" if all_classes else f" of {classes} of the {len(layout.class_names)} classes"
            found.append(f"{split}: {_images(len(layout.files[split]))}{of}")
        elif split != "validation":
            found.append(f"{split}: none")
    return found


def _left_out(layout: Layout, broken: Sequence[str]) -> list[str]:
    found = []
    if layout.skipped:
        example = layout.skipped[0].relative_to(layout.root)
        found.append(
            f"skipped: {counted(len(layout.skipped), 'other file')}, such as {example}"
            f"{image_files.missing_plug_in(layout.skipped)}"
        )
    if broken:
        found.append(f"left out: {counted(len(broken), 'unreadable image')}, such as {broken[0]}")
    return found or ["no file was skipped"]


def _sizes(sizes: Sequence[tuple[int, int]], image_size: int, fit: str) -> str:
    least, most = (
        f"{width} x {height}" for width, height in (_by_area(sizes, min), _by_area(sizes, max))
    )
    text = f"sizes: {least}" if len(set(sizes)) == 1 else f"sizes: from {least} to {most}"
    if not image_size:
        return f"{text} pixels"
    square = all(width == height for width, height in sizes)
    how = "each resized to {0} x {0}" if square else _RESIZED[fit]
    note = "" if square else f" (--fit={fit})"
    return f"{text} pixels, {how.format(image_size)}{note}"


def _by_area(sizes, choose):
    return choose(sizes, key=lambda size: (size[0] * size[1], size))


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _images(number: int) -> str:
    return counted(number, "image")
