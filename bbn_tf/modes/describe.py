"""A first look at a data set: what its classes hold, what each sampler makes of them, which files are no good."""

import collections
import itertools

import numpy as np
from matplotlib.figure import Figure

from bbn_tf.data import file_checks, listing, long_tail, samplers
from bbn_tf.files import atomic_path, check_output
from bbn_tf.modes import advised_command, build
from bbn_tf.runs import class_axes, pictures

MOST_ROWS = 30  # classes of a table in full; of more the first and last 10 are shown
ENDS = 10
MOST_DUPLICATES = 10
SETS = {"train": "training", "validation": "validation", "test": "test"}
STYLE = {"uniform": ("#0072b2", "-"), "balanced": ("#009e73", "--"), "reversed": ("#d55e00", "-.")}  # Okabe-Ito


def run(config):
    """Prints tables of the data set of `config` and draws `config.output`.

    All image files are read and decoded in full; damaged ones count as absent.

    Args:
        config: `bbn_tf.config.Config`.

    Raises:
        UserError: before any work if the output can't be written; or the data can't be used at all.
    """
    check_output(config.output, config.overwrite)
    dataset, inspection = _inspected(config)
    print(table(dataset))
    if inspection:
        print(files_report(dataset, inspection, config.data_dir))
    draw(dataset, config.data_dir if config.row("dataset").own_images else config.dataset, config.output)
    print(f"class counts and samplers, head to tail: {config.output}")
    damaged = len(inspection.damaged) if inspection else 0
    print("\n" + advised_command.text(config, dataset, damaged))


def _inspected(config):
    """(`ImageDataset`, `Inspection` of its files or None)."""
    if not config.row("dataset").files:
        return build.dataset(config), None
    inspection = file_checks.Inspection()
    return build.dataset(config, skip_unreadable=True, find_damage=inspection), inspection


def shares(dataset):
    """dict sampler -> float [C]: the share of each class among the images it draws."""
    return {name: sampler(dataset.class_counts) for name, sampler in samplers.SAMPLERS.items()}


def table(dataset):
    """Text: sizes, the classes head to tail, and the groups with what the samplers draw of them."""
    counts, drawn = dataset.class_counts, shares(dataset)
    head = (
        f"{len(dataset.train_labels):,} training and {len(dataset.eval_labels):,} {dataset.evaluated_on} images of "
        f"{dataset.num_classes:,} classes, {counts.max():,} to {counts.min():,} training images a class: imbalance "
        f"factor {counts.max() / counts.min():.4g}"
    )
    titles = [f"{name} %" for name in drawn]
    classes = [["class", "training", dataset.evaluated_on, "group", *titles], *_class_rows(dataset, drawn)]
    groups = [["group", "classes", "training", *titles], *_group_rows(counts, drawn)]
    return "\n".join([head, "", *_aligned(classes), "", *_aligned(groups), ""])


def _class_rows(dataset, drawn):
    counts = dataset.class_counts
    tests = np.bincount(dataset.eval_labels, minlength=dataset.num_classes)
    groups = long_tail.groups(counts)
    group_of = np.select(list(groups.values()), list(groups), "")
    rows = []
    for i in pictures.head_to_tail(counts):
        percents = [_percent(probs[i]) for probs in drawn.values()]
        rows.append([dataset.class_names[i], f"{counts[i]:,}", f"{tests[i]:,}", group_of[i], *percents])
    if len(rows) > MOST_ROWS:
        rows[ENDS:-ENDS] = [[f"... {len(rows) - 2 * ENDS:,} more ...", *[""] * (len(rows[0]) - 1)]]
    return rows


def _group_rows(counts, drawn):
    rows = []
    for (name, mask), rule in zip(long_tail.groups(counts).items(), ("> 100", "20 to 100", "< 20"), strict=True):
        percents = [_percent(probs[mask].sum()) for probs in drawn.values()]
        rows.append([f"{name} ({rule})", f"{mask.sum():,}", f"{counts[mask].sum():,}", *percents])
    return rows


def files_report(dataset, inspection, root):
    """Text: the damaged and the duplicate files that an `Inspection` found below the folder `root`."""
    lines = [f"damaged files: {len(inspection.damaged)}"]
    lines += [f"  {file_checks.shown(path, root)}: {why}" for path, why in inspection.damaged.items()]
    groups = inspection.duplicates()
    place = _places(dataset)
    across = collections.Counter()
    for group in groups:
        parts = {place[path][0] for path in group}
        for one, other in itertools.combinations([name for part, name in SETS.items() if part in parts], 2):
            across[f"in the {one} and the {other} set"] += 1
    across["in more than one class"] = sum(len({place[path][1] for path in group}) > 1 for group in groups)
    lines.append(f"duplicates (the same content): {len(groups)} images, {sum(map(len, groups))} files")
    lines += [f"  {count} {where}" for where, count in across.items() if count]
    lines += ["  " + " = ".join(file_checks.shown(path, root) for path in group) for group in groups[:MOST_DUPLICATES]]
    if len(groups) > MOST_DUPLICATES:
        lines.append(f"  and {len(groups) - MOST_DUPLICATES} more")
    return "\n".join([*lines, ""])


def _places(dataset):
    """dict path -> (part, label)."""
    return {
        path: (part, label)
        for part, files in dataset.parts.items()
        for path, label in zip(files.paths, files.labels, strict=True)
    }


@pictures.plain_text
def draw(dataset, title, path):
    """Draws class counts, and below them the samplers' shares, over the classes head to tail.

    Args:
        dataset: `ImageDataset`.
        title: of the picture.
        path: of the PNG.
    """
    counts, order = dataset.class_counts, pictures.head_to_tail(dataset.class_counts)
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    title = f"{listing.shown(title)}: {len(counts):,} classes, imbalance factor {counts.max() / counts.min():.4g}"
    above.set(ylabel="training images", title=title)
    drawn = {f"{name} sampler": 100 * probs for name, probs in shares(dataset).items()}
    bars = len(counts) <= class_axes.MOST_BARS
    if bars:
        class_axes.beside(above, counts[None, order], 0, 1, color="#b0b0b0")
    else:
        above.fill_between(np.arange(len(order)), counts[order], step="mid", color="#b0b0b0")
    for number, (label, percent) in enumerate(drawn.items()):
        colour, line = STYLE.get(label.split()[0], ("black", ":"))
        if bars:
            class_axes.beside(below, percent[None, order], number, len(drawn), color=colour, label=label)
        else:
            below.plot(np.arange(len(order)), percent[order], color=colour, linestyle=line, linewidth=2, label=label)
    class_axes.plain_numbers(above, counts)
    class_axes.plain_numbers(below, np.concatenate(list(drawn.values())))
    class_axes.mark_groups(above, counts)
    label = pictures.class_axis(below.xaxis, dataset.class_names, order, most=class_axes.MOST_BARS)
    below.set(ylabel="share of what is drawn (%)", xlabel=label)
    figure.legend(loc="outside lower center", ncols=3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _percent(share):
    return f"{100 * share:.3g}"


def _aligned(rows):
    """Lines with columns of equal width: text to the left, the other columns to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
