"""The kinds of pictures that a report has, by name."""

from bbn_tf.choices import Choice, Table

PICTURES, TABLES = "bbn_tf.runs.report_pictures:", "bbn_tf.runs.report_tables:"
GRID_ROW = "{} + {}"  # how a grid's cells are called as rows, by what is across and down

# Traits: `keys`, lists of names that a plan gives it; `required`, those it can't do without; `needs`, the figure of
# metrics.json that it shows; `table`, the function that writes its numbers as Markdown; `papers`, it shows the paper's.
KINDS = Table(
    "kind",
    errors=Choice(f"{PICTURES}errors", keys=("rows",), needs="top1_error", papers=True),
    error_by_class=Choice(f"{PICTURES}error_by_class", keys=("rows",), needs="top1_error"),
    norms=Choice(f"{PICTURES}norms", keys=("rows",), needs="classifier_norms", table=f"{TABLES}norms_table"),
    error_by_alpha=Choice(
        f"{PICTURES}error_by_alpha", keys=("rows",), needs="error_by_alpha", table=f"{TABLES}alpha_table"
    ),
    reliability=Choice(f"{PICTURES}reliability", keys=("rows",), needs="reliability"),
    grid=Choice(
        f"{PICTURES}grid",
        keys=("across", "down"),
        required=("across", "down"),
        needs="top1_error",
        table=f"{TABLES}grid_table",
    ),
)


def shown_rows(picture):
    """The rows that a plan's picture (dict) shows, None for all."""
    if KINDS[picture["kind"]].required:
        return [GRID_ROW.format(across, down) for across in picture["across"] for down in picture["down"]]
    return picture.get("rows")
