"""Finished runs that no plan has made, as a report sees those of a plan."""

import pathlib
import re

from bbn_tf.data import datasets
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.plan import PlannedRun


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
