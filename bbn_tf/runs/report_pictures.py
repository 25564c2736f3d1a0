"""Pictures of finished runs as files: rows of a table, each with one metrics.json (a dict) a seed.

Lines are means over the seeds, bands and whiskers the sample standard deviation.
"""

import numpy as np
from matplotlib.figure import Figure

from bbn_tf.files import atomic_path
from bbn_tf.runs import class_axes, pictures
from bbn_tf.runs.picture_kinds import GRID_ROW, KINDS
from bbn_tf.runs.tables import left_out


@pictures.plain_text
def save(kind, rows, path, title, **options):
    """Draws a picture of `KINDS`.

    Args:
        kind: its name.
        rows: dict label -> list of metrics, one a seed, at least one.
        path: of the PNG.
        title: of the picture.
        **options: of the kind.
    """
    height = max(3.6, 1.4 + 0.3 * len(rows)) if kind == "errors" else 4.4 + 0.2 * ((len(rows) - 1) // 2)
    width = 5 if kind in ("grid", "reliability") else 7.5  # these are square
    figure = Figure(figsize=(width, height), layout="constrained")
    KINDS[kind](figure, rows, **options)
    figure.axes[0].set_title(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def errors(figure, rows, paper=None):
    """Top-1 error of each row with its spread, and the paper's figure.

    Args:
        paper: dict label -> percent or None.
    """
    axes = figure.subplots()
    places = np.arange(len(rows))
    values = [[metrics["top1_error"] for metrics in runs] for runs in rows.values()]
    colour, marker = pictures.LINES[0]
    axes.errorbar(
        [np.mean(v) for v in values],
        places,
        xerr=[_deviation(v) for v in values],
        fmt=marker,
        color=colour,
        capsize=3,
        label="here, mean and standard deviation",
    )
    known = [(paper[label], place) for label, place in zip(rows, places, strict=True) if paper and paper.get(label)]
    if known:
        colour, marker = pictures.LINES[1]
        axes.plot(*zip(*known, strict=True), marker, color=colour, fillstyle="none", label="the paper")
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
    axes.set_xlabel("top-1 error (%)")
    _finish(figure, axes)


def error_by_class(figure, rows):
    """Error of each class from head to tail, in one colour a row."""
    axes, errors = figure.subplots(), {}
    for label, runs in rows.items():
        overall = np.mean([run["top1_error"] for run in runs])
        values = [[np.nan if error is None else error for error in run["per_class_error"]] for run in runs]
        errors[f"{label}: {overall:.1f} % overall"] = values
    names, counts = runs[0]["class_names"], runs[0]["class_counts"]
    class_axes.draw(axes, errors, counts)
    label = pictures.class_axis(axes.xaxis, names, pictures.head_to_tail(counts), counts, class_axes.MOST_BARS)
    label += class_axes.note(counts)
    if names := left_out(run for runs in rows.values() for run in runs):
        label += f"\nwithout a test image: {names}"
    axes.set(xlabel=label, ylabel="top-1 error (%)", ylim=(0, None))
    class_axes.mark_groups(axes, counts)
    _finish(figure, axes)


def norms(figure, rows):
    """l2 norm of each class's classifier weights (Figure 4); of a BBN both classifiers and their combination."""
    axes, metrics = figure.subplots(), next(iter(rows.values()))[0]
    pictures.draw_norms(axes, norms_by_classifier(rows), metrics["class_names"], metrics["class_counts"])
    _finish(figure, axes)


def norms_by_classifier(rows):
    """dict label -> float [seeds, C]: a line for a plain model, three for a BBN."""
    lines = {}
    for label, runs in rows.items():
        for name in runs[0]["classifier_norms"]:
            shown = f"{label}, {pictures.CLASSIFIERS[name]}" if name != "plain" else label
            lines[shown] = np.array([run["classifier_norms"][name] for run in runs])
    return lines


def error_by_alpha(figure, rows):
    """Error of a BBN whose branches are mixed by alpha, from the re-balancing (0) to the conventional branch (1)."""
    axes = figure.subplots()
    for number, (label, runs) in enumerate(rows.items()):
        alphas = [float(alpha) for alpha in runs[0]["error_by_alpha"]]
        values = np.array([list(run["error_by_alpha"].values()) for run in runs])
        pictures.draw_line(axes, alphas, values, number, label)
    axes.axvline(0.5, color="#8c8c8c", linestyle=":", label="alpha at inference")
    axes.set(xlabel="alpha: 0 re-balancing branch alone, 1 conventional branch alone", ylabel="top-1 error (%)")
    _finish(figure, axes)


def reliability(figure, rows):
    """Accuracy over confidence, in bins over all seeds; on the diagonal a network is calibrated."""
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color="#8c8c8c", linestyle=":", label="calibrated")
    for (label, runs), (colour, marker) in zip(rows.items(), _styles(rows), strict=True):
        bins = [_totals(run["reliability"]) for run in runs]
        images, confidence, accuracy = np.sum(bins, axis=0)
        filled = images > 0
        ece = np.mean([run["calibration_error"] for run in runs])
        places = confidence[filled] / images[filled], accuracy[filled] / images[filled]
        axes.plot(*places, color=colour, marker=marker, markersize=3, linewidth=1, label=f"{label}: ECE {ece:.1f} %")
        axes.scatter(*places, 300 * images[filled] / images.sum(), color=colour, marker=marker)
    axes.set(xlabel="confidence (%); the larger a mark, the more images", ylabel="accuracy (%)")
    axes.set(xlim=(0, 102), ylim=(0, 102), aspect="equal")
    _finish(figure, axes)


def grid(figure, rows, across, down):
    """Heat map of the mean error (Figure 2).

    Args:
        across, down: lists of texts, its columns and lines; rows are called by both, see `GRID_ROW`.
    """
    axes = figure.subplots()
    values = np.array([[_mean_error(rows.get(GRID_ROW.format(a, d))) for a in across] for d in down])
    shown = axes.imshow(values, cmap="cividis")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (line, place), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "black" if value > middle else "white"
            axes.text(place, line, f"{value:.1f}", ha="center", va="center", color=colour)
    figure.colorbar(shown, label="top-1 error (%)")
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    axes.set(xlabel="representation learned with", ylabel="classifier learned with")


def _finish(figure, axes):
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)  # clear of the lines, wherever they run


def _styles(rows):
    return [pictures.LINES[i % len(pictures.LINES)] for i in range(len(rows))]


def _deviation(values):
    return np.std(values, ddof=1) if len(values) > 1 else 0.0


def _totals(bins):
    """Images, and their summed confidence and accuracy, of each bin of `metrics.calibration`: float [3, bins]."""
    images = np.array(bins["images"], float)
    means = [np.array([0.0 if x is None else x for x in bins[name]]) for name in ("confidence", "accuracy")]
    return np.array([images, images * means[0], images * means[1]])


def _mean_error(runs):
    return np.mean([run["top1_error"] for run in runs]) if runs else np.nan
