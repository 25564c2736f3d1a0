"""A plan: a table's rows (methods), columns (data) and seeds, as a TOML file; every cell and seed is a run.

title = "Table 4: adaptors"
seeds = [0, 1, 2]
flags = ["--eval_every=0"]                # of every run, first; second_stage_flags: of those with `from`

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

[[pictures]]                              # see `bbn_tf.report_pictures.KINDS`
kind = "error_by_class"
column = "CIFAR-10, IF 50"
rows = ["BBN"]
"""

import dataclasses
import pathlib
import re
import tomllib

from bbn_tf.errors import UserError
from bbn_tf.run_folder import RunFolder

PLAN_KEYS = {"title", "seeds", "flags", "columns", "rows", "pictures"}
PICTURES = ("errors", "error_by_class", "norms", "error_by_alpha", "reliability", "grid")  # of report_pictures.py
ROW_KEYS = {"flags", "paper", "columns", "from", "from_column"}


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
        row, column, seed: its place in the table.
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

    Raises:
        UserError: it can't be read, or something in it has no meaning.
    """

    def __init__(self, path, folder):
        self.path, self.folder = path, pathlib.Path(folder)
        content = _read(path)
        self.title = content.get("title", pathlib.Path(path).stem)
        self.seeds, self.flags = content.get("seeds", [0]), content.get("flags", [])
        self.columns, self.rows = content.get("columns"), content.get("rows")
        self.pictures = content.get("pictures", [])
        self._check(content)

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
        arguments = (*self.columns[column], *definition["flags"], *last, f"--seed={seed}")
        return PlannedRun(row, column, seed, self._place(row, column, seed), arguments, begin)

    def columns_of(self, row):
        return self.rows[row].get("columns", list(self.columns))

    def _place(self, row, column, seed):
        return self.folder / _slug(row) / _slug(column) / f"seed{seed}"

    def _depth(self, row):
        """How many runs come before: a second stage of a second stage has two."""
        return 1 + self._depth(self.rows[row]["from"]) if "from" in self.rows[row] else 0

    def _check(self, content):
        self._known("the file", content, PLAN_KEYS)
        for name in ("columns", "rows"):
            self._must(isinstance(content.get(name), dict) and content[name], f"needs [{name}]")
        whole = isinstance(self.seeds, list) and self.seeds and all(isinstance(seed, int) for seed in self.seeds)
        self._must(whole, "seeds must be a list of whole numbers")
        for name, flags in (*self.columns.items(), ("flags", self.flags)):
            self._must(_texts(flags), f"{name!r} must be a list of flags")
        for names in (self.rows, self.columns):
            slugs = [_slug(name) for name in names]
            self._must(len(set(slugs)) == len(slugs), f"two names give the same folder: {sorted(slugs)}")
        for row, definition in self.rows.items():
            self._check_row(row, definition)
        for picture in self.pictures:
            kind = picture.get("kind")
            self._must(kind in PICTURES, f"a picture's kind is {kind!r}, must be one of {', '.join(PICTURES)}")
            for key in ("title", "across", "down") if kind == "grid" else ("title",):
                self._must(key in picture, f"picture {kind!r} needs {key}")
            for row in picture.get("rows", []):
                self._must(row in self.rows, f"a picture names {row!r}, which is no row")
            column = picture.get("column", next(iter(self.columns)))
            self._must(column in self.columns, f"a picture names {column!r}, which is no column")

    def _check_row(self, row, definition):
        self._must(isinstance(definition, dict), f"row {row!r} must be a table")
        self._known(f"row {row!r}", definition, ROW_KEYS)
        self._must(_texts(definition.get("flags")), f"row {row!r} needs flags, a list")
        for column in (*definition.get("paper", {}), *definition.get("columns", [])):
            self._must(column in self.columns, f"row {row!r} names {column!r}, which is no column")
        seen = row
        for _ in self.rows:
            if "from" not in self.rows[seen]:
                break
            begin = self.rows[seen]["from"]
            self._must(begin in self.rows, f"row {seen!r} begins with {begin!r}, which is no row")
            for column in self.columns_of(seen):
                first = self.rows[seen].get("from_column", column)
                there = first in self.columns_of(begin)
                self._must(there, f"row {seen!r} begins with {begin!r} of {first!r}, which is not there")
            seen = begin
        self._must("from" not in self.rows[seen], f"row {row!r} begins, in the end, with itself")

    def _known(self, what, content, keys):
        for key in content:
            self._must(key in keys, f"{what} has {key!r}, must be of {', '.join(sorted(keys))}")

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
        row = re.sub(r"[_/]?seed\d+$", "", str(folder.relative_to(self.folder))) or str(folder)
        column = f"{settings.get('dataset')}, IF {settings.get('imbalance_factor')}"
        return PlannedRun(row, column, int(settings.get("seed", 0)), folder, (), None)


def _read(path):
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise UserError(f"--plan={path}: can't be read as TOML: {reason}") from error


def _texts(value):
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _slug(name):
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
