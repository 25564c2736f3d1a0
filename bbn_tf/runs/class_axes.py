"""How values of classes are drawn head to tail: few classes as bars, many as smoothed lines, with their groups."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bbn_tf.data import long_tail
from bbn_tf.runs import pictures

MOST_BARS = 30  # classes; of more a bar is too thin to be seen
MOST_BESIDE = 3  # bars of a class


def draw(axes, rows, class_counts):
    """Draws a value of each class, head to tail.

    Up to `MOST_BARS` classes are bars, or points on lines where too many bars would stand beside each other. Of more
    classes faint dots are the classes, and lines the means over neighbours. All are means over the seeds; whiskers and
    bands are the standard deviation.

    Args:
        axes: of a matplotlib figure.
        rows: dict label -> float [seeds, C], NaN for a class without a value.
        class_counts: int [C], training images.
    """
    order = pictures.head_to_tail(class_counts)
    places = np.arange(len(order))
    for number, (label, values) in enumerate(rows.items()):
        colour, _ = pictures.LINES[number % len(pictures.LINES)]
        values = np.asarray(values, float)[:, order]
        if len(order) > MOST_BARS:
            axes.plot(places, values.mean(axis=0), ".", color=colour, alpha=0.3, markersize=4)
            pictures.draw_line(axes, places, smoothed(values), number, label, marker="", linewidth=2.5)
        elif len(rows) > MOST_BESIDE:
            pictures.draw_line(axes, places, values, number, label)
        else:
            beside(axes, values, number, len(rows), color=colour, label=label)
    axes.set_xlim(-0.6, len(order) - 0.4)


def beside(axes, values, number, count, **options):
    """Draws bar `number` of `count` of each class, the mean of `values`, float [seeds, C]."""
    width = 0.8 / count
    places = np.arange(values.shape[1]) + width * (number - (count - 1) / 2)
    whiskers = {"yerr": values.std(axis=0, ddof=1), "error_kw": {"elinewidth": 1}} if len(values) > 1 else {}
    axes.bar(places, values.mean(axis=0), width, **whiskers, **options)


def note(class_counts):
    """What must be said below a picture that `draw` has made."""
    return "" if len(class_counts) <= MOST_BARS else " (dots); lines are means over a tenth of the classes"


def smoothed(values):
    """Mean of each class and its neighbours, a tenth of all classes, fewer at the ends: float [seeds, C] -> the same.

    >>> smoothed(np.arange(21.0)[None])[0, [0, 10, 20]]
    array([ 0.5, 10. , 19.5])
    """
    reach = max(1, values.shape[1] // 20)
    padded = np.pad(values, [(0, 0), (reach, reach)], constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    known = np.isfinite(windows).sum(axis=-1)
    return np.divide(np.nansum(windows, axis=-1), known, where=known > 0, out=np.full(values.shape, np.nan))


def mark_groups(axes, class_counts):
    """Separates the classes with many, medium and few training images, and names the groups above them."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.1 * (high - low))  # room for their names
    start = 0
    for name, mask in long_tail.groups(class_counts).items():
        end = start + int(mask.sum())
        if end > start:
            middle = (start + end - 1) / 2
            place = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top"}
            axes.text(middle, 0.98, name, **place)
        if 0 < start < end:
            axes.axvline(start - 0.5, color="black", linewidth=1, linestyle=":")
        start = end


def plain_numbers(axes, values):
    """Scales the y axis for positive values, by factors if they differ by 10 or more; numbers are 60, not 6 x 10^1."""
    low, high = np.min(values), np.max(values)
    if high < 10 * low:
        axes.set_ylim(0, 1.05 * high)
        return
    axes.set_yscale("log")
    axes.set_ylim(0.7 * low, 1.4 * high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
