"""Fonts for texts in any script, among those of this machine."""

import contextlib
import functools
import logging
import unicodedata

from matplotlib import font_manager, rcParams

_MISSING = "□"
_MARKS = ("Cf", "Me", "Mn")
_NAMED = 8
# The first that has a character draws it; the machine's other fonts come after these.
_PREFERRED = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Malgun Gothic",
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Segoe UI",
    "Arial Unicode MS",
    "FreeSans",
)
# These claim every character, and draw all of them as boxes or blanks.
_EMPTY = ("last resort", "lastresort", "adobe blank", "notdef")

_logger = logging.getLogger(__name__)
_told = []


def fit(texts):
    """Give texts the fonts that their characters need: see `families`.

    Args:
        texts: Matplotlib artists `Text`, changed in place.
    """
    for text in texts:
        content = drawable(text.get_text())
        if content != text.get_text():
            text.set_text(content)
        needed = families(content)
        if needed:
            own = text.get_fontfamily()
            text.set_fontfamily([*own, *(name for name in needed if name not in own)])


def families(text: str) -> list[str]:
    """Return the font families that a text needs beside the default one; none for most texts."""
    return list(dict.fromkeys(filter(None, map(_family, sorted(_foreign(text))))))


def stack(text: str) -> list[str]:
    """Return the default font families and those that a text needs beside them."""
    return [*rcParams["font.family"], *families(text)]


def drawable(text: str) -> str:
    """Return a text with □ for each character that no font has; a warning is logged once."""
    missing = {character for character in _foreign(text) if not _family(character)}
    # Leave out characters that only change how their neighbours look.
    marks = {character: "" for character in missing if unicodedata.category(character) in _MARKS}
    missing -= marks.keys()
    if missing:
        _warn_once("".join(sorted(missing)))
    replacements = {**dict.fromkeys(missing, _MISSING), **marks}
    return text.translate(str.maketrans(replacements)) if replacements else text


def _foreign(text):
    """Return the characters that the default font lacks."""
    if text.isascii():
        return set()
    return set(text) - _characters(font_manager.findfont(font_manager.FontProperties())) - {"\n"}


@functools.cache
def _family(character):
    """Return the first font family that has a character, or None."""
    return next((name for name, path in _regular() if character in _characters(path)), None)


@functools.cache
def _regular():
    """Return name and path of the regular font of each family, preferred families first."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    # Matplotlib keeps its list from the day of its first import.
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        with contextlib.suppress(Exception):
            font_manager.fontManager.addfont(path)
    found = {}
    for font in font_manager.fontManager.ttflist:
        is_regular = font.style == "normal" and font.weight in (400, "normal", "regular", "book")
        if is_regular and not font.name.lower().startswith(_EMPTY):
            found.setdefault(font.name, font.fname)
    rank = {name: place for place, name in enumerate(_PREFERRED)}
    return sorted(
        found.items(),
        key=lambda font: (rank.get(font[0], len(rank)), "Sans" not in font[0], font[0]),
    )


@functools.cache
def _characters(path):
    """Return the characters that a font has; none if the font cannot be read."""
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def _warn_once(characters):
    if _told:
        return
    _told.append(characters)
    shown = ", ".join(characters[:_NAMED]) + (", …" if len(characters) > _NAMED else "")
    _logger.warning(
        "no font of this machine has the characters %s: figures show %s instead; install one that "
        "has them, such as Noto Sans CJK or Noto Sans Arabic",
        shown,
        _MISSING,
    )
