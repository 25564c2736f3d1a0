"""One run's figures, or a few runs', as a text table."""

FIGURES = ("top1_error", "many_error", "medium_error", "few_error", "conventional_error", "rebalancing_error")


def print_figures(metrics):
    """Prints the figures of one run, a dict as in metrics.json."""
    print(table({"error %": metrics}))


def table(rows):
    """Text table, one row a run; figures a run does not have stay empty.

    Args:
        rows: dict label -> metrics (dict as in metrics.json).
    """
    columns = [name for name in FIGURES if any(name in metrics for metrics in rows.values())]
    titles = {"top1_error": "all"}
    width = max(len(label) for label in rows) + 2
    lines = [" " * width + "".join(f"{titles.get(name, name.removesuffix('_error')):>14}" for name in columns)]
    for label, metrics in rows.items():
        values = ["" if metrics.get(name) is None else f"{metrics[name]:.2f}" for name in columns]
        lines.append(f"{label:<{width}}" + "".join(f"{value:>14}" for value in values))
    return "\n".join(lines)
