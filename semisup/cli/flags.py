"""From the command line to a configuration, and from an error to an exit status.

The one entry point of all binaries: it parses flags made from a configuration's fields, answers
`--help`, and prints every mistake of the user as one line with exit status 2.
"""

import dataclasses
import errno
import functools
import os
import sys
import textwrap

from absl import flags

from semisup.cli import terminal
from semisup.cli.options import as_flag
from semisup.errors import TrainingError, UnusedError, UserError, first_line, shown
from semisup.files.names import printable

SECTIONS = ("Recipes", "Data", "Network", "Loss", "Optimisation", "Run", "Speed")
"""Order of the headings of `--help`; others follow."""

_LONGEST_NAME = 100

_OF_FILES = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EROFS,
    errno.EIO,
)
"""What may keep a file from being written or read."""

RECIPE_HELP = (
    "Settings of a row of a published table, by name; flags that follow it override it. "
    "help: list the recipes."
)


def run(
    main, config_class, *, program, summary, recipes=None, hints=None, positional=None, argv=None
):
    """Run a binary and exit.

    Args:
        main: called with the configuration; may raise `UserError` or `TrainingError`, and may
            return an exit status.
        config_class: frozen dataclass with fields made by `options.option`.
        program: name of the binary.
        summary: what it does, for `--help`.
        recipes: folder of flagfiles `NAME.flags`, or None if the binary has no `--recipe`.
        hints: lines to print for flags of other binaries, by the flags' names.
        positional: name of the flag whose value may also be given as an argument without a name,
            or None.
        argv: command line, by default that of the process.
    """
    argv = list(sys.argv if argv is None else argv)

    def parse_and_run():
        if any(argument in ("--help", "-help", "-h", "--h") for argument in argv[1:]):
            print(_help(config_class, program, summary, recipes))
            return 0
        return main(parse(argv, config_class, recipes, hints, positional))

    guard(parse_and_run, program)


def guard(main, program):
    """Run a function and exit, with one line for whatever the user did wrong.

    Args:
        main: function without arguments; may raise `UserError` or `TrainingError`, and may return
            an exit status.
        program: name to print before a message.
    """
    terminal.open_streams()
    terminal.show_everything()
    terminal.show_messages()
    try:
        status = main()
        sys.stdout.flush()
    except UserError as error:
        print(f"{program}: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except TrainingError as error:
        print(f"{program}: {printable(str(error))}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader of the output has gone (`| head`): nobody is left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            where = f"{error.filename}: " if error.filename else ""
            message = printable(f"{where}{error.strerror or error}")
            print(f"{program}: {message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if _is_of_the_system(error):
            message = printable(first_line(error))
        elif _is_out_of_memory(error):
            message = "out of memory; smaller batches take less"
        else:
            raise
        print(f"{program}: {message}", file=sys.stderr)
        sys.exit(1)
    sys.exit(status or 0)


def _is_of_the_system(error):
    """Return whether an error is TensorFlow's own for a file that it cannot write or read."""
    from_tensorflow = type(error).__module__.startswith("tensorflow")
    return from_tensorflow and any(os.strerror(number) in str(error) for number in _OF_FILES)


def _is_out_of_memory(error):
    """Return whether the processor, or an accelerator under either backend, lacked memory."""
    text = f"{type(error).__name__}: {error}"
    names = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED")
    return isinstance(error, MemoryError) or any(name in text for name in names)


def parse(argv, config_class, recipes=None, hints=None, positional=None):
    """Return the configuration that a command line stands for.

    Args:
        argv: the program's name and its arguments.
        config_class: see `run`.
        recipes: see `run`.
        hints: see `run`.
        positional: see `run`.

    Returns:
        The configuration. What a recipe sets, and a flag beside it makes void, has its default.

    Raises:
        UserError: if a flag is unknown, or its value is not allowed.
    """
    hints = hints or {}
    values = _flag_values(config_class)
    _check_that_values_follow(argv[1:], values)
    try:
        # First, so that a flag and its value may stand on two lines of a file of flags.
        expanded = _expand_recipes(argv, recipes)[1:]
        arguments = _with_files(expanded, values)
        for argument in arguments:
            name = _name(argument)
            if name in hints and name not in values:
                raise UserError(hints[name])
            if len(name or "") > _LONGEST_NAME:
                # absl would look for one like it, and not come to an end.
                raise UserError(f"Unknown command line flag {shown(name)!r}")
        _check_that_values_follow(arguments, values)
        stray = values([argv[0], *arguments])[1:]
    except flags.CantOpenFlagFileError as error:
        cause = error.__context__
        raise UserError(f"--flagfile={cause.filename}: {cause.strerror}") from None
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from None
    except OSError as error:
        raise UserError(f"--flagfile: {error.strerror}: {error.filename}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"--flagfile: it is no text: {error.reason}") from None
    except ValueError as error:
        # absl raises no error of its own for --noNAME=VALUE.
        raise UserError(f"{error}; leave its value out, or give --NAME=false") from None
    if stray and positional and values[positional].using_default_value:
        values[positional].value = stray.pop(0)
    if stray:
        raise UserError(f"unexpected argument {stray[0]!r}: settings are given as --name=value")
    return _configuration(config_class, values, _set_by_recipes_alone(expanded, values, recipes))


def _with_files(arguments, values):
    """Return arguments with the lines of the files of flags that they name in the files' place.

    Some editors begin a file with a byte order mark, which absl takes for a part of its first line.
    """
    found = []
    for line in values.read_flags_from_files(arguments, False):
        plain = line.removeprefix("\ufeff")
        if plain == line or (plain and not plain.startswith(("#", "//"))):
            found.append(plain)
    return found


def _configuration(config_class, values, given_up):
    """Make a configuration from flags.

    Args:
        config_class: see `run`.
        values: the flags.
        given_up: names of those that get their default where they have no effect.
    """
    settings = {field.name: values[field.name].value for field in dataclasses.fields(config_class)}
    while True:
        try:
            return config_class(**settings)
        except UnusedError as error:
            if error.name not in given_up:
                raise
            given_up = given_up - {error.name}
            settings[error.name] = config_class.__dataclass_fields__[error.name].default


def _set_by_recipes_alone(arguments, values, recipes):
    """Return the names of the flags that recipes set, and no other argument does.

    Args:
        arguments: what `_expand_recipes` returned, without the program's name.
        values: the known flags.
        recipes: see `run`.
    """
    if recipes is None:
        return set()

    def names(wanted):
        chosen = [argument for argument in arguments if wanted(argument)]
        found = {_name(argument) for argument in _with_files(chosen, values)}
        return {name.removeprefix("no") for name in found - {None}} | found

    def is_recipe(argument):
        return argument.startswith(f"--flagfile={os.path.join(recipes, '')}")

    return names(is_recipe) - names(lambda argument: not is_recipe(argument))


def flags_for(settings, base):
    """Return the flags that turn some settings into others.

    Args:
        settings: the settings by name.
        base: what they are without flags; one that is not among these gets no flag.

    Returns:
        List of `--name=value`, or of `--name` or `--noname`, for the settings that differ.
    """
    return [
        as_flag(name, value)
        for name, value in settings.items()
        if name in base and value != base[name]
    ]


def split(argv):
    """Split a command line at its first `--`: what stands before, and what is to be passed on."""
    place = argv.index("--") if "--" in argv else len(argv)
    return argv[:place], argv[place + 1 :]


def _flag_values(config_class):
    values = flags.FlagValues()
    flags.DEFINE_string("flagfile", "", "File of flags, one a line.", flag_values=values)
    define = {
        bool: flags.DEFINE_bool,
        int: functools.partial(flags.DEFINE, flags.IntegerParser()),
        float: functools.partial(flags.DEFINE, flags.FloatParser()),
        str: flags.DEFINE_string,
    }
    for field in dataclasses.fields(config_class):
        define[field.type](
            name=field.name,
            default=field.default,
            help=field.metadata["help"],
            flag_values=values,
        )
        values[field.name].parser = _Parser(values[field.name].parser, _WANTED[field.type])
    return values


_WANTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class _Parser(flags.ArgumentParser):
    """A parser of absl's whose message is for those who don't know Python."""

    def __init__(self, parser, wanted):
        self._parser, self._wanted = parser, wanted

    def parse(self, argument):
        """Return the value that an argument stands for."""
        try:
            return self._parser.parse(argument)
        except (TypeError, ValueError):
            raise ValueError(f"give {self._wanted}") from None


def _name(argument):
    """Return the name of the flag that an argument sets, or None if it is none."""
    if not argument.startswith("-") or argument in ("-", "--"):
        return None
    return argument.removeprefix("-").removeprefix("-").partition("=")[0]


def _check_that_values_follow(arguments, values):
    """Make sure that no flag takes the next flag as its value.

    Args:
        arguments: the command line without the program's name.
        values: the known flags.

    Raises:
        UserError: if a flag that needs a value has none.
    """
    arguments = iter(arguments)
    for argument in arguments:
        if argument == "--":
            return
        name = _name(argument)
        needs_value = name == "recipe" or (name in values and not values[name].boolean)
        if name is None or "=" in argument or not needs_value:
            continue
        value = next(arguments, "--")
        other = _name(value) or ""
        # What begins with one dash is a number, if it is no flag.
        if value.startswith("--") or {other, other.removeprefix("no")} & {*values, "recipe"}:
            raise UserError(f"--{name} needs a value")


def _expand_recipes(argv, recipes):
    """Replace `--recipe=NAME` by the flagfile of that name."""
    expanded, arguments = [], iter(argv)
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in ("--recipe", "-recipe") or recipes is None:
            expanded.append(argument)
            continue
        if "=" not in argument:
            value = next(arguments, "")
        names = recipe_names(recipes)
        if value == "help":
            print("\n".join(_recipe_list(recipes)))
            sys.exit(0)
        if value not in names:
            import difflib

            nearest = difflib.get_close_matches(value, names, n=1)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            raise UserError(f"no recipe is called {value!r}; {hint}--recipe=help lists them")
        expanded.append(f"--flagfile={os.path.join(recipes, value + '.flags')}")
    return expanded


def recipe_names(recipes):
    """Return the names of the recipes in a folder, sorted."""
    return sorted(
        name.removesuffix(".flags") for name in os.listdir(recipes) if name.endswith(".flags")
    )


def _recipe_list(recipes):
    names = recipe_names(recipes)
    width = max(map(len, names), default=0)
    for name in names:
        with open(os.path.join(recipes, f"{name}.flags"), encoding="utf-8") as file:
            first = file.readline().lstrip("# ").rstrip()
        yield f"{name:<{width}}  {first}"


def _section_rank(section):
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)


def _help(config_class, program, summary, recipes):
    lines = [summary, "", f"usage: {program} [--name=value ...]", ""]
    entries = {}
    if recipes is not None:
        entries["Recipes"] = [("--recipe=NAME", RECIPE_HELP)]
    entries.setdefault("Recipes", []).append(("--flagfile=FILE", "Read flags from a file."))
    for field in dataclasses.fields(config_class):
        is_bool = field.type is bool
        usage = f"--[no]{field.name}" if is_bool else f"--{field.name}={field.default}"
        text = field.metadata["help"]
        if field.metadata["one_of"]:
            text += f" One of: {', '.join(field.metadata['one_of'])}."
        if is_bool:
            text += f" Default: {'on' if field.default else 'off'}."
        entries.setdefault(field.metadata["section"], []).append((usage, text))
    for section in sorted(entries, key=_section_rank):
        section_entries = entries[section]
        lines.append(f"{section}:")
        for usage, text in section_entries:
            lines.append(f"  {usage}")
            lines += textwrap.wrap(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines.append("")
    lines.append("The value shown with each flag is its default.")
    return "\n".join(lines)
