"""A plan: a table's rows (methods), columns (data) and seeds, as a TOML file; every cell and seed is a run.

title = "Table 4: adaptors"
seeds = [0, 1, 2]
flags = ["--epochs=100"]                  # of every run but second stages, after all others

[columns]                                 # name -> flags: which data
"CIFAR-10, IF 50" = ["--flagfile=flags/cifar10_lt.flags"]

[rows."BBN"]                              # name -> which method
flags = ["--flagfile=flags/bbn.flags"]
paper = { "CIFAR-10, IF 50" = 17.82 }     # the paper's error in percent, where it has one
columns = ["CIFAR-10, IF 50"]             # if not all

[rows."BBN, tau-normalised"]
flags = ["--flagfile=flags/tau_norm.flags"]
from = "BBN"                              # a second stage: of that row's run, same column and seed
from_column = "CIFAR-10, IF 50"           # ... or of this column

[[pictures]]                              # see `bbn_tf.runs.picture_kinds.KINDS`
kind = "error_by_class"
column = "CIFAR-10, IF 50"
rows = ["BBN"]
"""

import dataclasses
import functools
import pathlib
import re
import tomllib

from bbn_tf.errors import UserError
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.picture_kinds import KINDS, shown_rows

# Of every key: what it must be, and how to say that.
TEXT = (lambda x: isinstance(x, str) and x != "", "a text")
TEXTS = (lambda x: isinstance(x, list) and all(isinstance(y, str) for y in x), "a list of texts")
SOME_TEXTS = (lambda x: TEXTS[0](x) and 0 < len(x) == len(set(x)), "a list of texts, each once")
SEEDS = (lambda x: isinstance(x, list) and 0 < len(x) == len({y for y in x if type(y) is int}),
         "a list of whole numbers, each once")  # fmt: skip
NUMBERS = (lambda x: isinstance(x, dict) and all(type(y) in (int, float) for y in x.values()), "a table of numbers")
FLAG_LISTS = (lambda x: isinstance(x, dict) and x and all(map(TEXTS[0], x.values())), "a table of lists of flags")
TABLES = (lambda x: isinstance(x, dict) and x and all(isinstance(y, dict) for y in x.values()), "a table of tables")
LIST_OF_TABLES = (lambda x: isinstance(x, list) and all(isinstance(y, dict) for y in x), "[[pictures]]")

FILE = {"title": TEXT, "seeds": SEEDS, "flags": TEXTS, "columns": FLAG_LISTS, "rows": TABLES,
        "pictures": LIST_OF_TABLES}  # fmt: skip
ROW = {"flags": TEXTS, "paper": NUMBERS, "columns": SOME_TEXTS, "from": TEXT, "from_column": TEXT}
PICTURE = {"kind": TEXT, "title": TEXT, "column": TEXT}
OF_THE_PLAN = ("seed", "model_dir", "from_run", "overwrite")  # flags that a run gets from its place


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
        row, column, seed: its place in the table; the seed of a found run is text.
        folder: its own, pathlib.Path.
        arguments: tuple of main.py's arguments, but for the folder.
        after: the folder of the run that it begins with; None for a first stage.
    """

    row: str
    column: str
    seed: int
    folder: pathlib.Path
    arguments: tuple[str, ...]
    after: pathlib.Path | None

    def command(self):
        """All arguments of main.py."""
        begin = () if self.after is None else (f"--from_run={self.after}",)
        return [*self.arguments, *begin, f"--model_dir={self.folder}"]


class Plan:
    """A plan's file, checked.

    Args:
        path: of the TOML file.
        folder: below which the runs are.
        located: function of a flag's text and the plan's folder -> the text with a path that exists.

    Raises:
        UserError: it can't be read, or something in it has no meaning.
    """

    def __init__(self, path, folder, located=lambda flag, beside: flag):
        self.path, self.folder = path, pathlib.Path(folder)
        content = _read(path)
        self._typed("the file", content, FILE, required=("columns", "rows"))
        self.title = content.get("title", pathlib.Path(path).stem)
        self.seeds, self.flags = content.get("seeds", [0]), content.get("flags", [])
        self.columns, self.rows, self.pictures = content["columns"], content["rows"], content.get("pictures", [])
        self._check()
        self.located = functools.partial(located, beside=pathlib.Path(path).parent)

    def runs(self):
        """list of `PlannedRun`, what a run begins with before it."""
        ordered = sorted(self.rows, key=self._depth)
        places = [(row, column) for row in ordered for column in self.columns_of(row)]
        return [self.run(row, column, seed) for row, column in places for seed in self.seeds]

    def run(self, row, column, seed):
        """The `PlannedRun` of a place in the table."""
        definition, begin, last = self.rows[row], None, self.flags
        if "from" in definition:
            begin, last = self._place(definition["from"], definition.get("from_column", column), seed), []
        flags = [*self.columns[column], *definition["flags"], *last]
        arguments = (*map(self.located, flags), f"--seed={seed}")
        return PlannedRun(row, column, seed, self._place(row, column, seed), arguments, begin)

    def columns_of(self, row):
        return self.rows[row].get("columns", list(self.columns))

    def _place(self, row, column, seed):
        return self.folder / _slug(row) / _slug(column) / f"seed{seed}"

    def _depth(self, row):
        """How many runs come before: a second stage of a second stage has two."""
        return 1 + self._depth(self.rows[row]["from"]) if "from" in self.rows[row] else 0

    def _check(self):
        for names in (self.rows, self.columns):
            slugs = [_slug(name) for name in names]
            self._must(all(slugs), f"a name has neither letter nor digit: {list(names)}")
            self._must(len(set(slugs)) == len(slugs), f"two names give the same folder: {sorted(slugs)}")
        for row, definition in self.rows.items():
            what = f"row {row!r}"
            self._typed(what, definition, ROW, required=("flags",))
            self._must("from" in definition or "from_column" not in definition, f"{what} has from_column, but no from")
            self._check_names(what, self.columns, "column", [*definition.get("paper", {}), *self.columns_of(row)])
        for row in self.rows:
            self._check_beginning(row)
        for flags in (self.flags, *self.columns.values(), *(definition["flags"] for definition in self.rows.values())):
            for flag in flags:
                name = flag.lstrip("-").partition("=")[0]
                self._must(name not in OF_THE_PLAN, f"has --{name}, which a run gets from its place in the table")
        for picture in self.pictures:
            self._check_picture(picture)

    def _check_beginning(self, row):
        """That what a second stage begins with, and what that begins with, is there."""
        seen = row
        for _ in self.rows:
            if "from" not in self.rows[seen]:
                return
            begin = self.rows[seen]["from"]
            self._check_names(f"row {seen!r} begins with {begin!r}, and", self.rows, "row", [begin])
            for column in self.columns_of(seen):
                first = self.rows[seen].get("from_column", column)
                there = first in self.columns_of(begin)
                self._must(there, f"row {seen!r} begins with {begin!r} of {first!r}, which is not there")
            seen = begin
        self._must(False, f"row {row!r} begins, in the end, with itself")

    def _check_picture(self, picture):
        kind = picture.get("kind")
        known = isinstance(kind, str) and kind in KINDS
        self._must(known, f"a picture's kind is {kind!r}, must be one of {', '.join(KINDS)}")
        what = f"picture {kind!r}"
        keys = {**PICTURE, **dict.fromkeys(KINDS[kind].keys, SOME_TEXTS)}
        self._typed(what, picture, keys, ("title", *(KINDS[kind].required or ())))
        self._check_names(what, self.columns, "column", [picture.get("column", next(iter(self.columns)))])
        self._check_names(what, self.rows, "row", shown_rows(picture) or [])

    def _typed(self, what, content, types, required):
        for key, value in content.items():
            self._must(key in types, f"{what} has {key!r}, must be of {', '.join(sorted(types))}")
            is_right, wanted = types[key]
            self._must(is_right(value), f"{what}: {key} must be {wanted}")
        for key in required:
            self._must(key in content, f"{what} needs {key}")

    def _check_names(self, what, there, kind, names):
        for name in names:
            self._must(name in there, f"{what} names {name!r}, which is no {kind}")

    def _must(self, condition, rule):
        if not condition:
            raise UserError(f"--plan={self.path}: {rule}")


class FoundRuns:
    """What a report needs of a plan, made from the run folders below a folder, whatever they are.

    A row is a folder's name without its seed, a column a data set with its imbalance factor.

    Args:
        folder: to look through, all levels.

    Raises:
        UserError: a run's flags.txt is damaged.
    """

    title, pictures = "Finished runs", ()

    def __init__(self, folder):
        self.path, self.folder = folder, pathlib.Path(folder)
        files = sorted(self.folder.rglob("metrics.json")) if self.folder.is_dir() else []
        self._runs = [self._describe(file.parent) for file in files if (file.parent / "flags.txt").is_file()]
        self.columns = dict.fromkeys(run.column for run in self._runs)
        self.rows = {run.row: {} for run in self._runs}

    def runs(self):
        return self._runs

    def columns_of(self, row):
        return list(self.columns)

    def _describe(self, folder):
        settings = RunFolder(folder).read_settings()
        place = str(folder.relative_to(self.folder) if folder != self.folder else folder.name)
        row = re.sub(r"[_/]?seed\d+(?=[_/]|$)", "", place) or place
        column = f"{settings.get('dataset')}, IF {settings.get('imbalance_factor')}"
        fraction = float(settings.get("validation_fraction", 0))
        if settings.get("evaluate_on", "validation" if fraction else "test") == "validation":
            column += ", held-out training images" if fraction else ", validation images"
        return PlannedRun(row, column, settings.get("seed"), folder, (), None)


def _read(path):
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise UserError(f"--plan={path}: can't be read as TOML: {reason}") from error


def _slug(name):
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
