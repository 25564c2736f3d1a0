"""A run's folder: what is written where, atomically, and whether a run may be resumed in it."""

import contextlib
import csv
import fcntl
import json
import os
import pathlib
import shutil
import sys

from bbn_tf.data import record, tfds_origin
from bbn_tf.data.list_settings import PLACES
from bbn_tf.errors import UserError
from bbn_tf.files import TEMPORARY, atomic_path, check_whole, write_json, writing
from bbn_tf.runs.csv_files import CONFUSION, EVALUATION

HEADER = "# settings of this run; python main.py --flagfile=THIS_FILE repeats it"
METRICS_HOLD = {"epoch": int, "top1_error": float, "per_class_error": list, "class_counts": list, "class_names": list}


class RunFolder:
    """Paths and state of one run: `flags.txt`, `metrics.json`, `history.csv`, `model.keras`, `checkpoint/`."""

    writes = True  # whether this process writes the run's files

    def __init__(self, path, flag="model_dir"):
        self.path, self.flag = pathlib.Path(path), flag  # the flag that names it
        self.flags_file = self.path / "flags.txt"
        self.metrics_file = self.path / "metrics.json"
        self.history_file = self.path / "history.csv"
        self.model_file = self.path / "model.keras"
        self.checkpoints = self.path / "checkpoint"
        self.starts_file = self.checkpoints / "starts.json"
        self.exports = self.path / "export"
        self.tensorboard = self.path / "tensorboard"
        self.tables = tuple(self.path / name for name in (EVALUATION, CONFUSION))

    @contextlib.contextmanager
    def locked(self):
        """Makes the folder and holds it for this process: two that train in one would mix their files.

        Raises:
            UserError: it can't be made, or another process trains in it.
        """
        flag = f"--model_dir={self.path}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"{flag}: can't be written to ({error.strerror or error})") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when a process dies
        except BlockingIOError as error:
            raise UserError(f"{flag}: another process trains in it; wait for it or name another folder") from error
        else:
            yield
        finally:
            os.close(descriptor)

    @property
    def title(self):
        """The start of a line about this run."""
        return str(self.path)

    def check(self, settings, overwrite, defaults=None, ignore=()):
        """Finds out, changing nothing, whether a run with `settings` may use the folder.

        Args:
            settings: dict flag name -> text.
            overwrite: whether an earlier run may be deleted.
            defaults: dict flag name -> set of its defaults' texts: what the run of an older version has, which did not
                know the setting, or knew it where it has no meaning now.
            ignore: names of settings that may differ.

        Raises:
            UserError: not a run's folder, or of a run with other settings.
        """
        for name, value in settings.items():
            if "\n" in value:
                raise UserError(f"--{name}={value!r}: has a line break, which flags.txt can't hold; rename the folder")
        if not self._occupied():
            return
        if not self.flags_file.is_file():
            raise UserError(
                f"--model_dir={self.path}: holds files but no flags.txt, so it is not a run folder; name an empty one"
            )
        there = self.read_settings()
        if not overwrite:
            known = PLACES if record.is_there(self.path) else ()  # wherever photos are, they are compared
            self._refuse_other_settings(there, settings, defaults or {}, (*ignore, *known))

    def prepare(self, settings, overwrite, defaults=None):
        """Makes the folder this run's: `check`s it, deletes an earlier run if `overwrite`, writes flags.txt."""
        self.check(settings, overwrite, defaults)
        if overwrite and self._occupied():
            self._clear()
        lines = [HEADER, *(f"--{name}={value}" for name, value in settings.items()), ""]
        with atomic_path(self.flags_file) as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")

    def _occupied(self):
        return self.path.is_dir() and any(not entry.name.startswith(TEMPORARY) for entry in self.path.iterdir())

    def _clear(self):
        """Leaves flags.txt, by which this is a run's folder, to be replaced, and exported models, which may serve."""
        with writing(self.path):
            for folder in (self.checkpoints, self.tensorboard):
                if folder.is_dir():
                    shutil.rmtree(folder)
            for file in (self.metrics_file, self.history_file, self.model_file, *self.tables):
                file.unlink(missing_ok=True)
            record.delete(self.path)  # after what was learned, which without it would be of an older version
            tfds_origin.delete(self.path)
        if self.exports.is_dir():
            print(f"note: {self.exports} still holds what was exported of the earlier run")

    def _refuse_other_settings(self, there, settings, defaults, ignore):
        for name in sorted((set(there) | set(settings)) - set(ignore)):
            one, other = there.get(name), settings.get(name)
            only = other if one is None else one
            unknown_to_one = (one is None or other is None) and only in defaults.get(name, ())
            if one != other and not unknown_to_one:
                raise UserError(
                    f"--model_dir={self.path}: holds a run with --{name}={there.get(name, '(default)')}, not "
                    f"{settings.get(name, '(default)')}; name another folder, or start again with --overwrite"
                )

    def read_settings(self):
        """dict flag name -> text of flags.txt.

        Raises:
            UserError: there is none, or it is damaged.
        """
        try:
            # A path may be any bytes; an editor may have added a byte order mark.
            lines = self.flags_file.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--{self.flag}={self.path}: not a run folder, flags.txt can't be read there") from error
        if lines[:1] != [HEADER]:
            raise UserError(f"{self.flags_file}: damaged or not of a run, it must start with {HEADER!r}")
        settings = {}
        for line in lines:
            name, equals, value = line.partition("=")
            if line.strip() and not line.startswith("#"):
                if not equals or not name.startswith("--"):
                    raise UserError(f"{self.flags_file}: damaged, not a flag: {line[:60]!r}")
                settings[name[2:]] = value
        return settings

    def read_metrics(self):
        """metrics.json as a dict, or None if there is none.

        Raises:
            UserError: damaged.
        """
        try:
            metrics = json.loads(self.metrics_file.read_text())
            for name, kind in METRICS_HOLD.items():
                if not isinstance(metrics[name], kind):
                    raise TypeError(name)
            return metrics
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.metrics_file}: damaged ({type(error).__name__}); delete it and start the run again to "
                "evaluate its model again"
            ) from error

    def append_history(self, row):
        """Adds a row (dict) to history.csv in place of any row of the same or a later epoch.

        Its columns are those of all rows; a figure that an epoch does not have stays empty.
        """
        rows = [old for old in self.read_history() if int(old["epoch"]) < row["epoch"]] + [row]
        columns = dict.fromkeys(name for one in rows for name in one if name != "seconds")
        with atomic_path(self.history_file) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, [*columns, "seconds"], restval="")
            writer.writeheader()
            writer.writerows(rows)

    def read_history(self):
        """Rows of history.csv, list of dicts of text; empty without a file or with a damaged one."""
        try:
            with open(self.history_file, newline="") as file:
                return [row for row in csv.DictReader(file) if (row.get("epoch") or "").isdigit()]
        except (OSError, UnicodeDecodeError, csv.Error):
            return []

    def checkpoint_files(self):
        """Checkpoints, newest first: list of (epochs done, path)."""
        found = [(path.stem.removeprefix("epoch-"), path) for path in self.checkpoints.glob("epoch-*.npz")]
        return sorted(((int(number), path) for number, path in found if number.isdigit()), reverse=True)

    def newest_checkpoint(self, read):
        """(epochs done, what `read` (path -> arrays) returns), (0, None) without one; moves damaged ones aside."""
        for epochs_done, path in self.checkpoint_files():
            try:
                check_whole(path)
                arrays = read(path)
            except UserError:  # whole, but of another network
                raise
            except Exception as error:  # whatever a damaged zip file makes NumPy raise
                new = path.with_name(f"damaged-{path.name}")  # or it would count among the newest two
                os.replace(path, new)
                print(f"{path}: damaged ({type(error).__name__}), now {new.name}; resuming without it", file=sys.stderr)
            else:
                self._delete_old_checkpoints()  # which a kill may have prevented
                return epochs_done, arrays
        return 0, None

    def save_checkpoint(self, epochs_done, write):
        """Keeps what `write` (path -> None) writes, atomically, and of the earlier ones the newest."""
        with atomic_path(self.checkpoints / f"epoch-{epochs_done:04d}.npz") as temporary:
            write(temporary)
        self._delete_old_checkpoints()

    def _delete_old_checkpoints(self):
        for _, old in self.checkpoint_files()[2:]:
            old.unlink()

    def save_model(self, save):
        """Keeps what `save` (path -> None) writes as model.keras, atomically."""
        with atomic_path(self.model_file) as temporary:
            save(temporary)

    def write_metrics(self, content):
        """Writes metrics.json; content: dict."""
        write_json(self.metrics_file, content)

    def is_finished(self):
        """Whether the run has been trained and evaluated."""
        return self.metrics_file.is_file() and self.model_file.is_file()

    def time_starts(self, seconds=None):
        """Keeps and returns the seconds of each start of the run, list of floats.

        Args:
            seconds: since this start began, float; None begins a new start.
        """
        try:
            starts = json.loads(self.starts_file.read_text())
        except (OSError, ValueError):
            starts = []
        starts = [*starts, 0.0] if seconds is None else [*starts[:-1], round(seconds, 2)]
        write_json(self.starts_file, starts)
        return starts
