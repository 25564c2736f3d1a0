"""Flag files: their lines take the place of `--flagfile=FILE` among the arguments, the last one of a flag wins.

Those of the project, in its folder `flags/`, are found by their names from any folder, and so are its plans.

As absl reads them, but for a byte order mark, which some editors write, and for a comment behind a value, which absl
takes for a part of it.
"""

import os
import pathlib
import re

from bbn_tf.errors import UserError

FLAG = ("--flagfile", "-flagfile")
COMMENTS = ("#", "//")  # how a line begins that is none of a flag
BEHIND = re.compile(r"\s(#|//)")

PACKAGE = pathlib.Path(__file__).parent
INSTALLED = PACKAGE / "recipes"  # where pyproject.toml puts the project's flags/ into an installed package
COMMAND = "bbn-tf" if INSTALLED.is_dir() else "python main.py"  # how a command line begins
OWN = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "flags"


def found(path):
    """The path of a flag file or a plan: itself, or of that name among the project's own.

    Args:
        path: text, "mine/a.flags", "bbn.flags", "flags/bbn.flags" or "table1.toml".

    Returns:
        The first of these places where a file exists, else `path`.
    """
    name = path.removeprefix("flags/")
    places = (path, os.path.join(OWN, name), os.path.join(OWN, "plans", name))
    return next(filter(os.path.isfile, places), path)


def located(argument, beside, paths=()):
    """An argument of a flag file or a plan, whose relative path is looked for here, beside that file, in the project.

    Args:
        argument: text, "--name=value".
        beside: folder of the file that names it.
        paths: names of the flags whose values are such paths, besides --flagfile.

    Returns:
        The argument with the first of these places where the path exists, else as it is.
    """
    name, _, value = argument.partition("=")
    if not value or (name not in FLAG and name.lstrip("-") not in paths) or value.startswith("~"):
        return argument
    places = [value, os.path.join(beside, value)]
    if not INSTALLED.is_dir():  # in an installed package the folder above is that of all packages
        places.append(os.path.join(PACKAGE.parent, value))
    return f"{name}={next(filter(os.path.exists, places), value)}"


def expand(arguments, paths=()):
    """The arguments with the lines of flag files in their places.

    Args:
        arguments: list of texts, without the program's name.
        paths: see `located`.

    Raises:
        UserError: a file can't be read, includes itself, or has a comment behind a value.
    """
    return _expanded(arguments, (), paths)


def lines(arguments, paths=()):
    """list: what the flag files among the arguments hold, without the arguments themselves; see `expand`."""
    found, rest = [], iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--":
            break
        if name in FLAG:
            found += _lines(value if equals else next(rest, ""), (), paths)
    return found


def _expanded(arguments, within, paths):
    expanded, rest = [], iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in FLAG:
            expanded += _lines(value if equals else next(rest, ""), within, paths)
        else:
            expanded.append(argument)
            if argument == "--":
                expanded += rest
    return expanded


def _lines(path, within, paths):
    """The flags of one file, in which others may be named; `within` holds the files that named it."""
    path = found(os.path.expanduser(path.strip()))
    if not path:
        raise UserError("--flagfile: must name a file")
    if path in within:
        raise UserError(f"--flagfile={path}: includes itself")
    lines = []
    for number, line in enumerate(_read(path).split("\n"), 1):
        line = line.strip()
        if line and not line.startswith(COMMENTS):
            _refuse_comment_behind(line, f"{path}, line {number}")
            lines.append(located(line, os.path.dirname(path), paths))
    return _expanded(lines, (*within, path), paths)


def _read(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"--flagfile={path}: can't be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--flagfile={path}: holds bytes that are not UTF-8 text ({error})") from error


def _refuse_comment_behind(line, where):
    value = line.partition("=")[2]
    if BEHIND.search(line) and not os.path.exists(os.path.expanduser(value)):
        raise UserError(f"{where}: {line}: a comment must stand on a line of its own, or it is part of the value")
