"""A report over many finished runs, with mean and spread over seeds."""

from bbn_tf.choices import imported
from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path
from bbn_tf.runs import csv_files, report_pictures, report_tables, tables
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.picture_kinds import KINDS, shown_rows

CSV_FIGURES = (
    *tables.FIGURES,
    "balanced_error",
    "calibration_error",
    "epoch",
    "num_train",
    "evaluated_on",
    "seconds",
    "macro_f1",
    "harmonic_mean_accuracy",
    "worst_class_error",
    "worst_class",
)
EXPLANATION = (
    "Top-1 error in percent of the last epoch: mean ± sample standard deviation over the seeds, in brackets how many; "
    "in the tables of groups, behind a single run's error its 95 % interval (Wilson)."
)
SHIFTED = (
    "Top-1 error if the test set itself had a long tail (arXiv:2107.09249): forward, with the share of the most "
    "frequent class 50 to 2 times that of the rarest; uniform; backward, the other way round."
)
CONFUSED = "Classes confused most often, with the number of images over all seeds and their part of the true class's:"


def report(plan):
    """Writes results.csv, results.md and the plan's pictures into its folder, of the runs that are finished.

    Args:
        plan: `bbn_tf.runs.plan.Plan` or `bbn_tf.runs.found_runs.FoundRuns`.

    Returns:
        The Markdown text.

    Raises:
        UserError: no run is finished, or one's metrics.json is damaged.
    """
    runs = {run: metrics for run in plan.runs() if (metrics := RunFolder(run.folder).read_metrics()) is not None}
    if not runs:
        raise UserError(f"--model_dir={plan.folder}: no run of {plan.path} is finished there")
    cells = {(row, column): [] for row in plan.rows for column in plan.columns_of(row)}
    for run, metrics in runs.items():
        cells[run.row, run.column].append(metrics)
    write_csv(plan.folder / "results.csv", runs)
    shown = plan.pictures or by_class(cells)
    pictures = [draw(plan, picture, cells, number) for number, picture in enumerate(shown, 1)]
    text = markdown(plan, cells, pictures, confusions(runs))
    with atomic_path(plan.folder / "results.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{plan.folder}: {len(runs)} of {len(plan.runs())} runs are finished; results.md, results.csv and pictures")
    return text


def write_csv(path, runs):
    """One row a run.

    Args:
        path: of the file.
        runs: dict `PlannedRun` -> metrics.
    """
    shifts = list(dict.fromkeys(name for metrics in runs.values() for name in metrics.get("shifted_error", {})))
    header = ["row", "column", "seed", *CSV_FIGURES, *(f"shifted_{name}" for name in shifts), "left_out_classes"]
    rows = []
    for run, metrics in runs.items():
        values = [metrics.get(name) for name in CSV_FIGURES]
        values += [metrics.get("shifted_error", {}).get(name) for name in shifts]
        texts = ["" if x is None else f"{x:.2f}" if isinstance(x, float) else x for x in values]
        rows.append([run.row, run.column, run.seed, *texts, tables.left_out([metrics])])
    csv_files.write(path, header, rows)


def confusions(runs):
    """dict (row, column) -> list of (class names, confusion, see `csv_files.read_confusion`) of the runs with one."""
    found = {}
    for run, metrics in runs.items():
        if (confusion := csv_files.read_confusion(run.folder)) is not None:
            found.setdefault((run.row, run.column), []).append((metrics["class_names"], confusion))
    return found


def markdown(plan, cells, pictures=(), confused=None):
    """The report as text: the table of errors, for each column tables of what is known of its runs, pictures.

    Args:
        plan: `bbn_tf.runs.plan.Plan`.
        cells: dict (row, column) -> list of metrics, one a seed; empty ones stay empty in the table.
        pictures: list of texts.
        confused: see `confusions`.
    """
    parts = [f"# {plan.title}", EXPLANATION]
    parts.append(report_tables.error_table(plan, cells))
    parts += tables.left_out_notes(metrics for runs in cells.values() for metrics in runs)
    for column in plan.columns:
        rows = {row: cells[row, column] for row in plan.rows if cells.get((row, column))}
        if rows:
            note = tables.images_note([metrics for runs in rows.values() for metrics in runs])
            pairs = {row: (confused or {}).get((row, column), []) for row in rows}
            parts += [f"## {column}", *([f"**{note}**"] if note else []), *column_parts(rows, pairs)]
    return "\n\n".join([*parts, *filter(None, pictures)]) + "\n"


def column_parts(rows, pairs):
    """List of texts: the tables of a column's runs, and what must be said beside them."""
    parts = [report_tables.group_table(rows)]
    if shifted := report_tables.shifted_table(rows):
        parts += [SHIFTED, shifted]
    parts += tables.left_out_notes(metrics for runs in rows.values() for metrics in runs)
    if confused := report_tables.confused_list(pairs):
        parts += [CONFUSED, confused]
    return parts


def by_class(cells):
    """The pictures of a report whose plan names none: the error by class of each column.

    Args:
        cells: see `markdown`.

    Returns:
        List of dicts as in a plan.
    """
    columns = dict.fromkeys(column for (_, column), metrics in cells.items() if metrics)
    return [{"kind": "error_by_class", "title": f"Error by class: {column}", "column": column} for column in columns]


def draw(plan, picture, cells, number):
    """Draws one of the plan's pictures; returns the Markdown that shows it, with a table of its numbers if it has one.

    Empty if no finished run has what it shows; or if runs with other classes, or other numbers of images, would share
    an axis, which a line says.
    """
    kind, title = picture["kind"], picture["title"]
    column = picture.get("column", next(iter(plan.columns)))
    names = shown_rows(picture) or list(plan.rows)
    need = KINDS[kind].needs  # a plain model has no error by alpha
    rows = {row: [run for run in cells.get((row, column), []) if need in run] for row in names}
    rows = {row: runs for row, runs in rows.items() if runs}
    if not rows:
        return ""
    classes = {str([run["class_names"], run["class_counts"]]) for runs in rows.values() for run in runs}
    if KINDS[kind].by_class and len(classes) > 1:
        print(f"note: no picture {title!r}, since the runs of {column} differ in their classes or class counts")
        return ""
    options = {key: picture[key] for key in KINDS[kind].required or ()}
    paper = {"paper": {row: plan.rows[row].get("paper", {}).get(column) for row in rows}} if KINDS[kind].papers else {}
    path = plan.folder / f"{number}_{kind}.png"
    report_pictures.save(kind, rows, path, title, **options, **paper)
    table_of = KINDS[kind].table and imported(KINDS[kind].table)
    parts = [f"## {title}", f"![{title}]({path.name})", *([table_of(rows, **options)] if table_of else [])]
    return "\n\n".join(parts)
