"""One run's figures, or a few runs', as a text table, and what must be said beside them."""

import math

FIGURES = ("top1_error", "many_error", "medium_error", "few_error", "conventional_error", "rebalancing_error")
TITLES = {"top1_error": "all"}
MOST_NAMED = 10  # classes that a line names
WIDTH = 14


def print_figures(metrics):
    """Prints the figures of one run, a dict as in metrics.json; those that an older run has not are left out."""
    print("\n".join([table({"error %": metrics}), *details(metrics)]))


def table(rows):
    """Text table of errors: a row a run, and below it their 95 % intervals; figures a run does not have stay empty.

    Where a test set is not balanced, the balanced error comes first. Classes without a test image are named below.

    Args:
        rows: dict label -> metrics (dict as in metrics.json).
    """
    columns = [name for name in FIGURES if any(name in metrics for metrics in rows.values())]
    if not all(is_balanced(metrics) for metrics in rows.values()):
        columns.insert(0, "balanced_error")
    titles = [TITLES.get(name, name.removesuffix("_error")) for name in columns]
    lines = [("", titles)]
    for label, metrics in rows.items():
        lines.append((label, ["" if metrics.get(name) is None else f"{metrics[name]:.2f}" for name in columns]))
        if "error_intervals" in metrics:
            lines.append(("  95 % interval", [interval(metrics["error_intervals"].get(title)) for title in titles]))
    width = max(len(label) for label, _ in lines) + 2
    text = [f"{label:<{width}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells) for label, cells in lines]
    return "\n".join([*text, *left_out_notes(rows.values())])


def interval(ends):
    """ "17.0 - 20.5"; empty for None, for example of a group without images."""
    return "" if ends is None else "{:.1f} - {:.1f}".format(*ends)


def details(metrics):
    """List of lines: what the table of errors has no room for."""
    lines = []
    if "eval_group_counts" in metrics:
        counts = ", ".join(f"{name} {count:,}" for name, count in metrics["eval_group_counts"].items())
        lines.append(f"images evaluated on: {counts}")
    if "macro_f1" in metrics:
        lines.append(
            f"macro-F1 {metrics['macro_f1']:.2f} %, harmonic mean of the groups' accuracies "
            f"{metrics['harmonic_mean_accuracy']:.2f} %, worst class {metrics['worst_class']!r}: error "
            f"{metrics['worst_class_error']:.2f} %"
        )
    if "shifted_error" in metrics:
        shifted = metrics["shifted_error"].items()
        errors = ", ".join(f"{name.replace('_', ' ')} {error:.2f}" for name, error in shifted)
        lines.append(f"error % if the test set had a long tail (SADE): {errors}")
    return lines


def is_balanced(metrics):
    """Whether every class has as many test images, or, of an older run, whether it makes no difference."""
    if "eval_class_counts" in metrics:
        return len(set(metrics["eval_class_counts"])) == 1
    return math.isclose(metrics.get("balanced_error", metrics["top1_error"]), metrics["top1_error"])


def left_out(runs):
    """Text that names the classes without a test image in one of the runs; empty if there are none.

    Args:
        runs: iterable of metrics.
    """
    names = list(dict.fromkeys(name for one in runs for name in _without_image(one)))
    more = f" and {len(names) - MOST_NAMED} more, see metrics.json" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more


def _without_image(metrics):
    """List of the names of classes without a test image; an older run has to be asked class by class."""
    if "classes_without_eval_images" in metrics:
        return metrics["classes_without_eval_images"]
    pairs = zip(metrics["class_names"], metrics["per_class_error"], strict=True)
    return [name for name, error in pairs if error is None]


def left_out_notes(runs):
    """List of no or one line that names them, and the figures that leave them out."""
    names = left_out(runs)
    note = f"without a test image, left out of balanced error, macro-F1, worst class and shifted errors: {names}"
    return [note] if names else []


def images_note(metrics):
    """A sentence if runs did not see the same images, else None; metrics: list of dicts as in metrics.json.

    Of runs that kept no record of their images nothing is known.
    """
    seen = {one["images"] for one in metrics if one.get("images")}
    if len(seen) < 2:
        return None
    return f"These runs saw {len(seen)} different sets of images: see images.csv in their folders, or tfds.json."
