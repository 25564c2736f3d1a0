"""Pictures of a run for TensorBoard, as arrays: weight norms by class, confusion, input images.

Classes stand head to tail: by falling number of training images.  Colours are told apart by
colour-blind readers.
"""

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LINES = (  # Okabe-Ito's colours
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
    ("#000000", "X"),
    ("#8c8c8c", "*"),
)
CLASSIFIERS = {  # of `evaluate.classifier_norms`
    "conventional": "W_c (conventional)",
    "rebalancing": "W_r (re-balancing)",
    "combined": "both, one below the other",
    "plain": "W (its one classifier)",
}
MOST_NAMED = 20  # classes whose names can stand on an axis
NAME_LENGTH = 10
# Names are drawn as they are: matplotlib takes what stands between two $ for mathematics.
plain_text = matplotlib.rc_context({"text.parse_math": False})
MOST_CELLS = 400  # of a side of the confusion matrix; of more classes neighbours share one, or it takes gigabytes


def head_to_tail(class_counts):
    """Class indices, int [C], by falling number of training images; equal ones in their order."""
    return np.argsort(-np.asarray(class_counts), kind="stable")


@plain_text
def norm_profile(norms, class_names, class_counts, title):
    """l2 norm of each class's classifier weights, head to tail, one line a classifier.

    Args:
        norms: dict label -> float [C].
        class_names: C names.
        class_counts: int [C], training images.
        title: of the picture.

    Returns:
        uint8 [height, width, 3].
    """
    figure, axes = _figure(0.8)
    draw_norms(axes, {label: np.asarray(values)[None] for label, values in norms.items()}, class_names, class_counts)
    axes.set(title=title)
    figure.legend(loc="outside lower center")  # clear of the lines, wherever they run
    return _pixels(figure)


def draw_norms(axes, lines, class_names, class_counts):
    """Draws the l2 norm of each class's classifier weights, head to tail, with its mean spread over the classes.

    Args:
        axes: of a matplotlib figure.
        lines: dict label -> float [seeds, C]; a line is the mean over the seeds, a band their standard deviation.
        class_names, class_counts: see `norm_profile`.
    """
    order = head_to_tail(class_counts)
    for number, (label, values) in enumerate(lines.items()):
        deviation = np.mean(np.std(values, axis=1))
        marker = {} if len(order) <= MOST_NAMED else {"marker": "", "linewidth": 2}
        draw_line(axes, np.arange(len(order)), values[:, order], number, f"{label}: σ = {deviation:.3f}", **marker)
    axes.set(xlabel=class_axis(axes.xaxis, class_names, order, class_counts), ylim=(0, None))
    axes.set(ylabel="l2 norm of the class's weights")
    axes.grid(alpha=0.3)


def draw_line(axes, places, values, number, label, **options):
    """Draws the mean over the seeds, the first axis of `values`, and a band of one standard deviation.

    Args:
        axes: of a matplotlib figure.
        places: [N], on the x axis.
        values: float [seeds, N].
        number: of the line, for its colour and marker.
        label: in the legend.
        **options: of the line, for matplotlib.
    """
    colour, marker = LINES[number % len(LINES)]
    mean = np.mean(values, axis=0)
    axes.plot(places, mean, **{"color": colour, "marker": marker, "markersize": 5, "label": label, **options})
    if len(values) > 1:
        deviation = np.std(values, axis=0, ddof=1)
        axes.fill_between(places, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0)


def class_axis(axis, class_names, order, class_counts=None, most=MOST_NAMED):
    """Names the classes on an axis if there are few; upright where they would run into each other.

    Args:
        axis: of a matplotlib figure.
        class_names: C names.
        order: int [C], class indices head to tail.
        class_counts: int [C], training images, to stand below the names; None for names alone.
        most: classes that have their names on the axis.

    Returns:
        The axis's label.
    """
    if len(order) > most:
        return "class, head to tail"
    names = [class_names[i][:NAME_LENGTH] for i in order]
    counts = [""] * len(order) if class_counts is None else [f"\n{class_counts[i]}" for i in order]
    longest = max(map(len, "\n".join([*names, *counts]).split("\n")))
    if axis.axis_name == "x" and len(names) * longest > 60:  # the number behind the name, or they touch the neighbours
        texts = [name + count.replace("\n", "  ") for name, count in zip(names, counts, strict=True)]
        axis.set_ticks(range(len(texts)), texts, rotation=90, fontsize=8 if len(texts) > MOST_NAMED else None)
    else:
        axis.set_ticks(range(len(names)), [name + count for name, count in zip(names, counts, strict=True)])
    return "class, head to tail" if class_counts is None else "class, with its number of training images, head to tail"


@plain_text
def confusion_picture(confusion, class_names, class_counts, title):
    """How the images of each class (row) were classified (column), in percent of the row.

    Args:
        confusion: int [C, C]; row: true class, column: predicted class.
        class_names, class_counts, title: see `norm_profile`.

    Returns:
        uint8 [height, width, 3].
    """
    figure, axes = _figure(0.88)
    order = head_to_tail(class_counts)
    rows = _in_cells(confusion, order, min(len(order), MOST_CELLS))
    percent = 100 * rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    edges = (-0.5, len(order) - 0.5, len(order) - 0.5, -0.5)
    shown = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100, extent=edges)
    figure.colorbar(shown, label="% of the true class's images")
    for axis in (axes.xaxis, axes.yaxis):
        class_axis(axis, class_names, order)
    axes.set(xlabel="predicted class, head to tail", ylabel="true class, head to tail", title=title)
    if len(order) <= MOST_NAMED:
        _write_cells(axes, percent)
    return _pixels(figure)


@plain_text
def image_sheet(images, labels, class_names, title, columns=8):
    """Images in rows, each with its class's name below.

    Args:
        images: uint8 [N, H, W, 3].
        labels: int [N].
        class_names, title: see `norm_profile`.
        columns: images a row.

    Returns:
        uint8 [height, width, 3].
    """
    count, height, width, _ = images.shape
    step = (round(1.35 * height), round(1.1 * width))  # room for the name and between columns
    rows = -(-count // columns)
    sheet = np.full((rows * step[0], columns * step[1], 3), 255, np.uint8)
    figure, axes = _figure(0.05 + sheet.shape[0] / sheet.shape[1])
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        top, left = step[0] * (i // columns), step[1] * (i % columns)
        sheet[top : top + height, left : left + width] = image
        axes.text(
            left + width / 2, top + 1.03 * height, class_names[label][:NAME_LENGTH], ha="center", va="top", fontsize=7
        )
    axes.imshow(sheet)
    axes.set(title=title)
    axes.set_axis_off()
    return _pixels(figure)


def _in_cells(confusion, order, cells):
    """float64 [cells, cells]: the matrix with its classes in `order`, neighbours added up."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) * cells // len(order)
    true, predicted = np.nonzero(confusion)  # as many as there are images at most
    flat = place[true] * cells + place[predicted]
    counts = np.asarray(confusion)[true, predicted]
    return np.bincount(flat, counts, cells**2).reshape(cells, cells)


def _figure(aspect):
    """(figure, axes) of 700 pixels times `aspect`, with text that is legible in TensorBoard's small cards."""
    figure = Figure(figsize=(5, 5 * aspect), dpi=140, layout="constrained")
    return figure, figure.subplots()


def _pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _write_cells(axes, percent):
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            colour = "black" if value > 50 else "white"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=7)
