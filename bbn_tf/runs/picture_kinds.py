"""Kinds of pictures in a report, by name."""

from bbn_tf.choices import Choice, Table

PICTURES, TABLES = "bbn_tf.runs.report_pictures:", "bbn_tf.runs.report_tables:"
GRID_ROW = "{} + {}"  # name of the row in a grid's cell, from the names across and down

# Traits: `keys`, lists of names in the plan; `required`, the keys that it always needs; `needs`, the figure of
# metrics.json that it shows; `table`, the function that writes its numbers as Markdown; `papers`, whether it also shows
# the paper's figures; `by_class`, whether classes are its axis, which then must be the same in all runs.
KINDS = Table(
    "kind",
    errors=Choice(f"{PICTURES}errors", keys=("rows",), needs="top1_error", papers=True),
    error_by_class=Choice(f"{PICTURES}error_by_class", keys=("rows",), needs="top1_error", by_class=True),
    norms=Choice(
        f"{PICTURES}norms", keys=("rows",), needs="classifier_norms", table=f"{TABLES}norms_table", by_class=True
    ),
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
    """Returns the rows that a picture shows, list of names; None for all rows.

    Args:
        picture: dict, from the plan.
    """
    if KINDS[picture["kind"]].required:
        return [GRID_ROW.format(across, down) for across in picture["across"] for down in picture["down"]]
    return picture.get("rows")
