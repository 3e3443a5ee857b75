"""Ctrl-C while a command is still importing, told in one line.

It is imported before all else, and imports nothing that takes time.
"""

import os
import sys

_PROGRAMS = ("semisup-", "domain-adaptation-", "clustering-", "multimodal-", "segmentation-")
_MODULES = ("semisup.", "domain_adaptation.", "clustering.", "multimodal.", "segmentation.")
_MODULES += ("scripts.",)
_SCRIPTS = os.path.realpath(os.path.join(__file__, "..", "..", "..", "scripts"))


def is_command(arguments: list[str]) -> bool:
    """Return whether a process runs a command of this project, not another program.

    Args:
        arguments: its command line, as `sys.orig_argv` has it.
    """
    for place, argument in enumerate(arguments[1:], start=1):
        if argument == "-m":
            return "".join(arguments[place + 1 : place + 2]).startswith(_MODULES)
        if not argument.startswith("-"):
            is_script = os.path.dirname(os.path.realpath(argument)) == _SCRIPTS
            name = argument.replace("\\", "/").rpartition("/")[2]
            return is_script or name.startswith(_PROGRAMS)
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
