"""Tables of finished runs: one run's figures, and a report over many with mean and spread over seeds."""

import csv
import statistics

from bbn_tf.choices import imported
from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path
from bbn_tf.runs import report_pictures
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.picture_kinds import GRID_ROW, KINDS, shown_rows
from bbn_tf.runs.tables import FIGURES

CSV_FIGURES = (*FIGURES, "balanced_error", "calibration_error", "epoch", "num_train", "evaluated_on", "seconds")
GROUPS = {"all": "top1_error", "many": "many_error", "medium": "medium_error", "few": "few_error",
          "calibration (ECE)": "calibration_error"}  # fmt: skip
EXPLANATION = (
    "Top-1 error in percent of the last epoch: mean ± sample standard deviation over the seeds, in brackets how many."
)


def report(plan):
    """Writes results.csv, results.md and the plan's pictures into its folder, of the runs that are finished.

    Args:
        plan: `bbn_tf.runs.plan.Plan` or `FoundRuns`.

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
    text = markdown(
        plan, cells, [draw(plan, picture, cells, number) for number, picture in enumerate(plan.pictures, 1)]
    )
    with atomic_path(plan.folder / "results.md") as temporary:
        temporary.write_text(text)
    print(f"{plan.folder}: {len(runs)} of {len(plan.runs())} runs are finished; results.md, results.csv and pictures")
    return text


def write_csv(path, runs):
    """One row a run.

    Args:
        path: of the file.
        runs: dict `PlannedRun` -> metrics.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "column", "seed", *CSV_FIGURES])
        for run, metrics in runs.items():
            figures = (metrics.get(name) for name in CSV_FIGURES)
            texts = ["" if x is None else f"{x:.2f}" if isinstance(x, float) else x for x in figures]
            writer.writerow([run.row, run.column, run.seed, *texts])


def markdown(plan, cells, pictures=()):
    """The report as text: the table of errors, of the groups for each column, pictures.

    Args:
        plan: `bbn_tf.runs.plan.Plan`.
        cells: dict (row, column) -> list of metrics, one a seed; empty ones stay empty in the table.
        pictures: list of texts.
    """
    parts = [f"# {plan.title}", EXPLANATION]
    parts.append(error_table(plan, cells))
    for column in plan.columns:
        rows = {row: cells[row, column] for row in plan.rows if cells.get((row, column))}
        if rows:
            parts += [f"## {column}", group_table(rows)]
    return "\n\n".join([*parts, *filter(None, pictures)]) + "\n"


def error_table(plan, cells):
    """Markdown table rows x columns of the error, the paper's figure and the difference where it has one."""
    lines = [["", *plan.columns]]
    for row, definition in plan.rows.items():
        paper = definition.get("paper", {})
        lines.append([row, *(error_cell(cells.get((row, column), []), paper.get(column)) for column in plan.columns)])
    return _markdown_table(lines)


def error_cell(metrics, paper=None):
    """ "20.31 ± 0.42 (3); paper 20.18, +0.13", or what of it there is."""
    errors = [one["top1_error"] for one in metrics]
    parts = [f"{spread(errors)} ({len(errors)})"] if errors else []
    if paper is not None:
        parts.append(f"paper {paper:.2f}" + (f", {statistics.fmean(errors) - paper:+.2f}" if errors else ""))
    return "; ".join(parts)


def group_table(rows):
    """Markdown table of the errors of all, many, medium and few, and the calibration error.

    Args:
        rows: dict label -> list of metrics, one a seed.
    """
    lines = [["", *GROUPS]]
    for label, metrics in rows.items():
        values = ([one[name] for one in metrics if one.get(name) is not None] for name in GROUPS.values())
        lines.append([label, *(spread(v) if v else "" for v in values)])
    return _markdown_table(lines)


def spread(values, digits=2):
    """ "mean ± sample standard deviation", of a single value only it."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def _markdown_table(lines):
    head, *body = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([head, "| --- " + "| ---: " * (len(lines[0]) - 1) + "|", *body])


def draw(plan, picture, cells, number):
    """Draws one of the plan's pictures; returns the Markdown that shows it and what of it can be read as a table.

    Empty if no finished run has what it shows.
    """
    kind, title = picture["kind"], picture["title"]
    column = picture.get("column", next(iter(plan.columns)))
    names = shown_rows(picture) or list(plan.rows)
    need = KINDS[kind].needs  # a plain model has no error by alpha
    rows = {row: [run for run in cells.get((row, column), []) if need in run] for row in names}
    rows = {row: runs for row, runs in rows.items() if runs}
    if not rows:
        return ""
    options = {key: picture[key] for key in KINDS[kind].required or ()}
    paper = {"paper": {row: plan.rows[row].get("paper", {}).get(column) for row in rows}} if KINDS[kind].papers else {}
    path = plan.folder / f"{number}_{kind}.png"
    report_pictures.save(kind, rows, path, title, **options, **paper)
    table_of = KINDS[kind].table and imported(KINDS[kind].table)
    parts = [f"## {title}", f"![{title}]({path.name})", *([table_of(rows, **options)] if table_of else [])]
    return "\n\n".join(parts)


def grid_table(rows, across, down):
    """Markdown table of Figure 2: the representation by column, the classifier by line."""
    lines = [["classifier", *(f"{name} features" for name in across)]]
    for line in down:
        runs = (rows.get(GRID_ROW.format(name, line), []) for name in across)
        lines.append([line, *(error_cell(metrics) for metrics in runs)])
    return _markdown_table(lines)


def norms_table(rows):
    """Markdown table of Figure 4: mean and standard deviation over the classes, each with its spread over the seeds."""
    lines = [["", "mean norm", "standard deviation σ over the classes"]]
    for label, values in report_pictures.norms_by_classifier(rows).items():
        lines.append([label, spread(values.mean(axis=1), 3), spread(values.std(axis=1), 3)])
    return _markdown_table(lines)


def alpha_table(rows):
    """Markdown table of the error by alpha, 0 the re-balancing and 1 the conventional branch alone."""
    lines = [["alpha", *next(iter(rows.values()))[0]["error_by_alpha"]]]
    for label, metrics in rows.items():
        lines.append(
            [label, *(spread(v) for v in zip(*(one["error_by_alpha"].values() for one in metrics), strict=True))]
        )
    return _markdown_table(lines)
