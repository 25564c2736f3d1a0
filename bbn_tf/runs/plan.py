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
seeds = [0]                               # if the row does not have all seeds

[rows."BBN, tau-normalised"]
flags = ["--flagfile=flags/tau_norm.flags"]
from = "BBN"                              # a second stage starts from this row's run, same column and seed
from_column = "CIFAR-10, IF 50"           # ... or from the run in this column; a row with one seed serves all seeds

[rows."BBN, fine-tuned"]
flags = ["--flagfile=flags/bbn.flags"]
init_from = "BBN"                         # a whole training with that run's weights, found as for `from`

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
from bbn_tf.runs.picture_kinds import KINDS, shown_rows
from bbn_tf.runs.plan_keys import FILE, PICTURE, ROW, SOME_TEXTS, STARTS

OF_THE_PLAN = ("seed", "model_dir", "from_run", "overwrite")  # flags that follow from a run's place in the plan


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
        row, column, seed: its place in the table; a found run has its seed as text.
        folder: folder of this run, pathlib.Path.
        arguments: tuple of arguments for main.py, without the folders.
        after: folder of the run that it starts from; None if there is none.
        start: name of the flag that gets `after`: "from_run" of a second stage, "init_from" of a whole training.
    """

    row: str
    column: str
    seed: int
    folder: pathlib.Path
    arguments: tuple[str, ...]
    after: pathlib.Path | None
    start: str = "from_run"

    def command(self):
        """list of all arguments for main.py."""
        start = () if self.after is None else (f"--{self.start}={self.after}",)
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
        return [self.run(row, column, seed) for row, column in places for seed in self.seeds_of(row)]

    def run(self, row, column, seed):
        """Returns the `PlannedRun` at a place in the table."""
        definition, last = self.rows[row], [] if "from" in self.rows[row] else self.flags
        flags = [*self.columns[column], *definition["flags"], *last]
        arguments = (*map(self.located, flags), f"--seed={seed}")
        key = self._start_key(row)
        after = self._start_place(row, column, seed) if key else None
        return PlannedRun(
            row, column, seed, self._place(row, column, seed), arguments, after, STARTS.get(key, "from_run")
        )

    def columns_of(self, row):
        return self.rows[row].get("columns", list(self.columns))

    def seeds_of(self, row):
        return self.rows[row].get("seeds", self.seeds)

    def _start_key(self, row):
        """The key of `STARTS` that a row has, None without."""
        return next((key for key in STARTS if key in self.rows[row]), None)

    def _start_place(self, row, column, seed):
        """Folder of the run from which the run at a place in the table starts."""
        definition = self.rows[row]
        first = definition[self._start_key(row)]
        seed = seed if seed in self.seeds_of(first) else self.seeds_of(first)[0]
        return self._place(first, definition.get("from_column", column), seed)

    def _place(self, row, column, seed):
        return self.folder / _slug(row) / _slug(column) / f"seed{seed}"

    def _depth(self, row):
        """Number of runs that must come first: 1 for a second stage, 2 if it starts from a second stage."""
        key = self._start_key(row)
        return 1 + self._depth(self.rows[row][key]) if key else 0

    def _check(self):
        for names in (self.rows, self.columns):
            slugs = [_slug(name) for name in names]
            self._must(all(slugs), f"a name has no letter and no digit: {list(names)}")
            self._must(len(set(slugs)) == len(slugs), f"two names give the same folder: {sorted(slugs)}")
        for row, definition in self.rows.items():
            what = f"row {row!r}"
            self._typed(what, definition, ROW, required=("flags",))
            self._check_start_keys(what, definition)
            self._check_names(what, self.columns, "column", [*definition.get("paper", {}), *self.columns_of(row)])
        for row in self.rows:
            self._check_start(row)
        for flags in (self.flags, *self.columns.values(), *(definition["flags"] for definition in self.rows.values())):
            for flag in flags:
                name = _flag_name(flag)
                self._must(name not in OF_THE_PLAN, f"has --{name}, but each run gets it from its place in the table")
        for picture in self.pictures:
            self._check_picture(picture)

    def _check_start_keys(self, what, definition):
        keys = [key for key in STARTS if key in definition]
        self._must(len(keys) < 2, f"{what} has both from and init_from, must have one of them")
        self._must(keys or "from_column" not in definition, f"{what} has from_column without from or init_from")
        given = [flag for flag in definition["flags"] if _flag_name(flag) == "init_from"]
        self._must(not (keys and given), f"{what} has --init_from, but starts from the run of a row")

    def _check_start(self, row):
        """Checks that the run exists from which a row starts, and so on down to a row that starts from none."""
        seen = row
        for _ in self.rows:
            key = self._start_key(seen)
            if key is None:
                return
            start = self.rows[seen][key]
            self._must(start in self.rows, f"row {seen!r} starts from {start!r}, which is not a row")
            for column in self.columns_of(seen):
                first = self.rows[seen].get("from_column", column)
                known = first in self.columns_of(start)
                rule = f"row {seen!r} starts from {start!r} in column {first!r}, which {start!r} does not have"
                self._must(known, rule)
            self._check_start_seeds(seen, start)
            seen = start
        raise self._error(f"row {row!r} starts from itself, directly or through other rows")

    def _check_start_seeds(self, row, start):
        missing = [seed for seed in self.seeds_of(row) if seed not in self.seeds_of(start)]
        one = len(self.seeds_of(start)) == 1
        self._must(one or not missing, f"row {row!r} starts from {start!r} with seeds {missing}, which {start!r} lacks")

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


def _read(path):
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise UserError(f"--plan={path}: can't be read as TOML: {reason}") from error


def _flag_name(flag):
    return flag.lstrip("-").partition("=")[0]


def _slug(name):
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
