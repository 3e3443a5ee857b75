"""Names of classes and files as text that every terminal, table and page can show.

The name of a file may be any bytes: a line break, a colour code of the terminal, or Latin-1 as an
old archive unpacks it, which Python holds as lone surrogates that no file of text takes.
"""

import re

_UNDECODED = re.compile("[\udc80-\udcff]+")
# Control characters, line and paragraph separators, marks that reverse text, and surrogates.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(name: str) -> str:
    r"""Return a name in one line of valid Unicode without control characters.

    What cannot be shown becomes a visible escape, as Python writes it: a line break is `\n`, the
    byte of a name that is not UTF-8 `\xf6`. All other characters stay as they are.

    Args:
        name: any text, of the file system say.

    Returns:
        The text; the same if it can be shown as it is.

    Example:
        >>> printable("new\nline")
        'new\\nline'
    """
    return _UNSHOWABLE.sub(_escaped, _UNDECODED.sub(_decoded, name))


def _decoded(match: re.Match) -> str:
    # UTF-8 after all, where the locale made Python read names as ASCII.
    return match[0].encode("ascii", "surrogateescape").decode("utf-8", "backslashreplace")


def _escaped(match: re.Match) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
