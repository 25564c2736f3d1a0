"""Tables and pictures of finished runs."""

import os

from matplotlib.figure import Figure

from bbn_tf import pictures
from bbn_tf.errors import UserError
from bbn_tf.run_folder import RunFolder, atomic_path

FIGURES = ("top1_error", "many_error", "medium_error", "few_error", "conventional_error", "rebalancing_error")
LABELS = {"bbn": "BBN", "plain": "plain (cross-entropy)"}
STYLE = dict(zip(("bbn", "plain"), pictures.LINES, strict=False))


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


def compare(config, train_and_evaluate):
    """Trains BBN and the plain network with the same settings; prints a table, draws error by class.

    Returns:
        dict model -> metrics.

    Raises:
        UserError: a folder is in the way; see also `bbn_tf.train.train_and_evaluate`.
    """
    if os.path.exists(os.path.join(config.model_dir, "flags.txt")):
        raise UserError(f"--model_dir={config.model_dir}: is a run's folder; --mode=compare makes two in a folder")
    configs = {m: config.with_model(m, os.path.join(config.model_dir, m)) for m in ("plain", "bbn")}
    for one in configs.values():  # both before minutes are spent on the first
        RunFolder(one.model_dir).check(one.settings(), one.overwrite)
    rows = {model: train_and_evaluate(one) for model, one in configs.items()}
    picture = os.path.join(config.model_dir, "error_by_class.png")
    draw_error_by_class(rows, picture)
    print(f"\nTop-1 error (%) on {config.dataset}, seed {config.seed}")
    print(table({LABELS[model]: metrics for model, metrics in rows.items()}))
    print(f"error by class, head to tail: {picture}")
    return rows


def draw_error_by_class(rows, path):
    """Draws error by class, head to tail, over the number of training images; one line a run.

    Args:
        rows: dict model -> metrics.
        path: of the PNG.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for model, metrics in rows.items():
        errors, counts = metrics["per_class_error"], metrics["class_counts"]
        order = pictures.head_to_tail(counts)
        colour, marker = STYLE[model]
        label = f"{LABELS[model]}: {metrics['top1_error']:.1f} % overall"
        heights = [errors[i] if errors[i] is not None else float("nan") for i in order]
        axes.plot(heights, color=colour, marker=marker, label=label)
    names = metrics["class_names"]
    if len(order) <= pictures.MOST_NAMED:
        axes.set_xticks(range(len(order)), [f"{names[i]}\n{counts[i]}" for i in order])
    axes.set(xlabel="class, with its number of training images, head to tail", ylabel="top-1 error (%)",
             title="Error by class", ylim=(0, None))  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
