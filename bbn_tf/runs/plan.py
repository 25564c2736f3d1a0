"""A plan: a TOML file with rows (methods), columns (data) and seeds; each cell of the table and each seed is a run.

title = "Table 4: adaptors"
seeds = [0, 1, 2]
flags = ["--epochs=100"]                  # for every run but second stages; they follow all other flags

[columns]                                 # name -> flags that choose the data
"CIFAR-10, IF 50" = ["--flagfile=flags/cifar10_lt.flags"]

[rows."BBN"]                              # name -> flags that choose the method
flags = ["--flagfile=flags/bbn.flags"]
paper = { "CIFAR-10, IF 50" = 17.82 }     # the paper's error in percent, if it has one
columns = ["CIFAR-10, IF 50"]             # if the row does not have all columns

[rows."BBN, tau-normalised"]
flags = ["--flagfile=flags/tau_norm.flags"]
from = "BBN"                              # a second stage starts from this row's run, same column and seed
from_column = "CIFAR-10, IF 50"           # ... or from the run in this column

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

from bbn_tf.data import datasets
from bbn_tf.errors import UserError
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.picture_kinds import KINDS, shown_rows

# For every key: a test of its value, and the words for a message.
TEXT = (lambda x: isinstance(x, str) and x != "", "a text")
TEXTS = (lambda x: isinstance(x, list) and all(isinstance(y, str) for y in x), "a list of texts")
SOME_TEXTS = (lambda x: TEXTS[0](x) and 0 < len(x) == len(set(x)), "a list of texts, each once")
SEEDS = (
    lambda x: isinstance(x, list) and 0 < len(x) == len({y for y in x if type(y) is int}),
    "a list of whole numbers, each once",
)
NUMBERS = (lambda x: isinstance(x, dict) and all(type(y) in (int, float) for y in x.values()), "a table of numbers")
FLAG_LISTS = (lambda x: isinstance(x, dict) and x and all(map(TEXTS[0], x.values())), "a table of lists of flags")
TABLES = (lambda x: isinstance(x, dict) and x and all(isinstance(y, dict) for y in x.values()), "a table of tables")
LIST_OF_TABLES = (lambda x: isinstance(x, list) and all(isinstance(y, dict) for y in x), "[[pictures]]")

FILE = {
    "title": TEXT,
    "seeds": SEEDS,
    "flags": TEXTS,
    "columns": FLAG_LISTS,
    "rows": TABLES,
    "pictures": LIST_OF_TABLES,
}
ROW = {"flags": TEXTS, "paper": NUMBERS, "columns": SOME_TEXTS, "from": TEXT, "from_column": TEXT}
PICTURE = {"kind": TEXT, "title": TEXT, "column": TEXT}
OF_THE_PLAN = ("seed", "model_dir", "from_run", "overwrite")  # flags that follow from a run's place in the plan


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
        row, column, seed: its place in the table; a found run has its seed as text.
        folder: folder of this run, pathlib.Path.
        arguments: tuple of arguments for main.py, without the folders.
        after: folder of the run that it starts from; None for a first stage.
    """

    row: str
    column: str
    seed: int
    folder: pathlib.Path
    arguments: tuple[str, ...]
    after: pathlib.Path | None

    def command(self):
        """list of all arguments for main.py."""
        start = () if self.after is None else (f"--from_run={self.after}",)
        return [*self.arguments, *start, f"--model_dir={self.folder}"]


class Plan:
    """A plan that was read from its file and checked.

    Args:
        path: path of the TOML file.
        folder: folder that holds all run folders.
        located: function (flag, folder of the plan) -> flag, in which a relative path is replaced by one that exists.

    Raises:
        UserError: the file can't be read, or something in it has no meaning.
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
        """list of `PlannedRun`; a run comes after the run that it starts from."""
        ordered = sorted(self.rows, key=self._depth)
        places = [(row, column) for row in ordered for column in self.columns_of(row)]
        return [self.run(row, column, seed) for row, column in places for seed in self.seeds]

    def run(self, row, column, seed):
        """Returns the `PlannedRun` at a place in the table."""
        definition, start, last = self.rows[row], None, self.flags
        if "from" in definition:
            start, last = self._place(definition["from"], definition.get("from_column", column), seed), []
        flags = [*self.columns[column], *definition["flags"], *last]
        arguments = (*map(self.located, flags), f"--seed={seed}")
        return PlannedRun(row, column, seed, self._place(row, column, seed), arguments, start)

    def columns_of(self, row):
        return self.rows[row].get("columns", list(self.columns))

    def _place(self, row, column, seed):
        return self.folder / _slug(row) / _slug(column) / f"seed{seed}"

    def _depth(self, row):
        """Number of runs that must come first: 1 for a second stage, 2 if it starts from a second stage."""
        return 1 + self._depth(self.rows[row]["from"]) if "from" in self.rows[row] else 0

    def _check(self):
        for names in (self.rows, self.columns):
            slugs = [_slug(name) for name in names]
            self._must(all(slugs), f"a name has no letter and no digit: {list(names)}")
            self._must(len(set(slugs)) == len(slugs), f"two names give the same folder: {sorted(slugs)}")
        for row, definition in self.rows.items():
            what = f"row {row!r}"
            self._typed(what, definition, ROW, required=("flags",))
            self._must("from" in definition or "from_column" not in definition, f"{what} has from_column without from")
            self._check_names(what, self.columns, "column", [*definition.get("paper", {}), *self.columns_of(row)])
        for row in self.rows:
            self._check_start(row)
        for flags in (self.flags, *self.columns.values(), *(definition["flags"] for definition in self.rows.values())):
            for flag in flags:
                name = flag.lstrip("-").partition("=")[0]
                self._must(name not in OF_THE_PLAN, f"has --{name}, but each run gets it from its place in the table")
        for picture in self.pictures:
            self._check_picture(picture)

    def _check_start(self, row):
        """Checks that the run exists from which a second stage starts, and so on down to a first stage."""
        seen = row
        for _ in self.rows:
            if "from" not in self.rows[seen]:
                return
            start = self.rows[seen]["from"]
            self._must(start in self.rows, f"row {seen!r} starts from {start!r}, which is not a row")
            for column in self.columns_of(seen):
                first = self.rows[seen].get("from_column", column)
                known = first in self.columns_of(start)
                rule = f"row {seen!r} starts from {start!r} in column {first!r}, which {start!r} does not have"
                self._must(known, rule)
            seen = start
        raise self._error(f"row {row!r} starts from itself, directly or through other rows")

    def _check_picture(self, picture):
        kind = picture.get("kind")
        known = isinstance(kind, str) and kind in KINDS
        self._must(known, f"a picture has kind {kind!r}, must be one of {', '.join(KINDS)}")
        what = f"picture {kind!r}"
        keys = {**PICTURE, **dict.fromkeys(KINDS[kind].keys, SOME_TEXTS)}
        self._typed(what, picture, keys, ("title", *(KINDS[kind].required or ())))
        self._check_names(what, self.columns, "column", [picture.get("column", next(iter(self.columns)))])
        self._check_names(what, self.rows, "row", shown_rows(picture) or [])

    def _typed(self, what, content, types, required):
        for key, value in content.items():
            self._must(key in types, f"{what} has {key!r}, must be one of {', '.join(sorted(types))}")
            is_right, wanted = types[key]
            self._must(is_right(value), f"{what}: {key} must be {wanted}")
        for key in required:
            self._must(key in content, f"{what} needs {key}")

    def _check_names(self, what, there, kind, names):
        for name in names:
            self._must(name in there, f"{what} names {name!r}, which is not a {kind}")

    def _must(self, condition, rule):
        if not condition:
            raise self._error(rule)

    def _error(self, rule):
        return UserError(f"--plan={self.path}: {rule}")


class FoundRuns:
    """All finished runs in a folder, with the attributes of `Plan` that a report uses.

    A row is the name of a run folder without its seed; a column is what `datasets.title` calls its data.

    Args:
        folder: folder to search, with all its subfolders.

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
        column = datasets.title(settings)
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
