"""Markdown tables of runs: mean and spread over seeds.

`metrics` is one run's metrics.json as a dict; figures that older runs do not have stay empty.
"""

import collections
import re
import statistics

from bbn_tf.runs import report_pictures, tables
from bbn_tf.runs.picture_kinds import GRID_ROW

GROUPS = {  # column -> figure; the further ones only if a run has them
    "all": "top1_error",
    "many": "many_error",
    "medium": "medium_error",
    "few": "few_error",
    "calibration (ECE)": "calibration_error",
}
FURTHER = {
    "macro-F1": "macro_f1",
    "harmonic mean of group accuracies": "harmonic_mean_accuracy",
    "worst class": "worst_class_error",
    "seconds": "seconds",
}
MOST_CONFUSED = 10  # pairs


def error_table(plan, cells):
    """Markdown table rows x columns of the error, the paper's figure and the difference where it has one."""
    lines = [["", *plan.columns]]
    for row, definition in plan.rows.items():
        paper = definition.get("paper", {})
        lines.append([row, *(error_cell(cells.get((row, column), []), paper.get(column)) for column in plan.columns)])
    return markdown_table(lines)


def error_cell(metrics, paper=None):
    """ "20.31 ± 0.42 (3); paper 20.18, +0.13", or the parts of it that are known.

    Where a test set is not balanced, the balanced error comes first: "balanced 31.50 ± 0.61, all 20.31 ± 0.42 (3)".
    """
    errors = [one["top1_error"] for one in metrics]
    parts = [f"{spread(errors)} ({len(errors)})"] if errors else []
    if not all(map(tables.is_balanced, metrics)):
        parts[0] = (
            f"balanced {spread([one.get('balanced_error', one['top1_error']) for one in metrics])}, all {parts[0]}"
        )
    if paper is not None:
        parts.append(f"paper {paper:.2f}" + (f", {statistics.fmean(errors) - paper:+.2f}" if errors else ""))
    return "; ".join(parts)


def group_table(rows):
    """Markdown table of the errors of all, many, medium and few, and of further figures, training time at the end.

    Args:
        rows: dict label -> list of metrics, one a seed.
    """
    runs = [one for metrics in rows.values() for one in metrics]
    columns = GROUPS | {title: name for title, name in FURTHER.items() if any(name in one for one in runs)}
    if not all(map(tables.is_balanced, runs)):
        columns = {"balanced": "balanced_error"} | columns
    lines = [["", *columns]]
    for label, metrics in rows.items():
        lines.append([label, *(group_cell(metrics, title, name) for title, name in columns.items())])
    return markdown_table(lines)


def group_cell(metrics, group, name):
    """Mean and spread of a figure; of a single run instead its 95 % interval, where it has one."""
    values = [one[name] for one in metrics if one.get(name) is not None]
    ends = metrics[0].get("error_intervals", {}).get(group) if len(metrics) == 1 else None
    shown = f" ({tables.interval(ends)})" if ends else ""
    return spread(values, digits=0 if name == "seconds" else 2) + shown if values else ""


def shifted_table(rows):
    """Markdown table of the errors under SADE's priors; None if no run has them."""
    rows = {label: [one["shifted_error"] for one in runs if "shifted_error" in one] for label, runs in rows.items()}
    rows = {label: runs for label, runs in rows.items() if runs}
    if not rows:
        return None
    names = list(next(iter(rows.values()))[0])
    lines = [["", *(name.replace("_", " ") for name in names)]]
    lines += [[label, *(spread([one[name] for one in runs]) for name in names)] for label, runs in rows.items()]
    return markdown_table(lines)


def confused_list(rows):
    """Markdown list of the pairs of classes that were confused most often; None if no run has them.

    Args:
        rows: dict label -> list of (class names, dict (true, predicted) -> images), one a run.
    """
    lines = [f"- {label}: {', '.join(confused_pairs(runs))}" for label, runs in rows.items() if runs]
    return "\n".join(lines) or None


def confused_pairs(runs):
    """List of "`cat` as `dog` 12 (6.0 %)": images of all runs, and their part of the true class's."""
    total, of_class = collections.Counter(), collections.Counter()
    for names, confusion in runs:
        for (true, predicted), count in confusion.items():
            of_class[names[true]] += count
            if true != predicted:
                total[names[true], names[predicted]] += count
    return [
        f"{_code(true)} as {_code(predicted)} {count} ({100 * count / of_class[true]:.1f} %)"
        for (true, predicted), count in total.most_common(MOST_CONFUSED)
    ] or ["none"]


def _code(name):
    """A name as Markdown shows it as it is, on one line."""
    text = " ".join(name.split())
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", text))))
    return f"{fence} {text} {fence}"


def spread(values, digits=2):
    """ "mean ± sample standard deviation", of a single value only it."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def markdown_table(lines):
    head, *body = [f"| {' | '.join(map(_cell, cells))} |" for cells in lines]
    return "\n".join([head, "| --- " + "| ---: " * (len(lines[0]) - 1) + "|", *body])


def _cell(text):
    """A text that leaves the table whole."""
    return " ".join(text.replace("|", "\\|").splitlines())


def grid_table(rows, across, down):
    """Markdown table of Figure 2: the representation by column, the classifier by line."""
    lines = [["classifier", *(f"{name} features" for name in across)]]
    for line in down:
        runs = (rows.get(GRID_ROW.format(name, line), []) for name in across)
        lines.append([line, *(error_cell(metrics) for metrics in runs)])
    return markdown_table(lines)


def norms_table(rows):
    """Markdown table of Figure 4: mean and standard deviation over the classes, each with its spread over the seeds."""
    lines = [["", "mean norm", "standard deviation σ over the classes"]]
    for label, values in report_pictures.norms_by_classifier(rows).items():
        lines.append([label, spread(values.mean(axis=1), 3), spread(values.std(axis=1), 3)])
    return markdown_table(lines)


def alpha_table(rows):
    """Markdown table of the error by alpha, 0 the re-balancing and 1 the conventional branch alone."""
    lines = [["alpha", *next(iter(rows.values()))[0]["error_by_alpha"]]]
    for label, metrics in rows.items():
        lines.append(
            [label, *(spread(v) for v in zip(*(one["error_by_alpha"].values() for one in metrics), strict=True))]
        )
    return markdown_table(lines)
