"""Ctrl-C while a command is still importing, told in one line.

It is imported before all else, and imports nothing that takes time.
"""

import sys

_PROGRAMS = ("semisup-", "domain-adaptation-", "clustering-", "multimodal-", "segmentation-")
_MODULES = ("semisup.", "domain_adaptation.", "clustering.", "multimodal.", "segmentation.")
_MODULES += ("scripts.",)


def is_command(arguments: list[str]) -> bool:
    """Return whether a process runs a command of this project, not another program.

    Args:
        arguments: its command line, as `sys.orig_argv` has it.
    """
    for place, argument in enumerate(arguments[1:], start=1):
        if argument == "-m":
            return "".join(arguments[place + 1 : place + 2]).startswith(_MODULES)
        if not argument.startswith("-"):
            return argument.replace("\\", "/").rpartition("/")[2].startswith(_PROGRAMS)
    return False


def tell_in_one_line() -> None:
    """Replace the traceback of a `KeyboardInterrupt` that nobody handles by a line."""
    earlier = sys.excepthook

    def tell(kind, error, traceback):
        if issubclass(kind, KeyboardInterrupt):
            print("\ninterrupted", file=sys.stderr)
        else:
            earlier(kind, error, traceback)

    sys.excepthook = tell


if is_command(sys.orig_argv):
    tell_in_one_line()
