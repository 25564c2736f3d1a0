"""A data set of image files beside the record of a run: the images that the run knows, and what has changed since."""

import dataclasses

import numpy as np

from bbn_tf.data import listing
from bbn_tf.data.image_parts import PARTS, joined
from bbn_tf.data.record import EARLIER
from bbn_tf.errors import UserError

ALIKE = 1 / 4  # of a part's images, with the same names and sizes in other folders, are no chance


@dataclasses.dataclass(frozen=True)
class Followed:
    """Image files, sorted by the record of a run.

    Attributes:
        parts: dict part -> `ImageFiles` that are recorded and there, in the order of the record.
        missing, changed, new: dict part -> list of texts "class/path": recorded and gone; there with another size;
            there and not recorded (in the part where a new run would put them).
    """

    parts: dict
    missing: dict
    changed: dict
    new: dict

    def differences(self, *parts):
        """ "2 missing (ant/1.jpg, ant/2.jpg), 1 new (bee/7.jpg)" of some parts; "" if they are as they were."""
        found = []
        for what in ("missing", "changed", "new"):
            if names := [name for part in parts for name in getattr(self, what)[part]]:
                found.append(f"{len(names)} {what} ({listing.named(names)})")
        return ", ".join(found)


def check_class_names(were, are, place, root):
    """Raises UserError, naming them, if classes are not those of a run, in its order.

    Args:
        were, are: sequences of texts.
        place: the run's folder.
        root: the data's folder, None if it is not given.
    """
    if list(are) == list(were):
        return
    gone = [name for name in were if name not in set(are)]
    new = [name for name in are if name not in set(were)]
    texts = [f"{verb} {listing.named(map(repr, names))}" for verb, names in (("lacks", gone), ("has", new)) if names]
    raise UserError(
        f"--data_dir={listing.shown(root or '')}: has other classes than {place} was trained on: it "
        f"{' and '.join(texts) or 'has them in another order'}; class folders must be named as they were then"
    )


def follow(record, class_names, parts):
    """Finds the images of a record among those that are there.

    Args:
        record: `bbn_tf.data.record.Record` with the same classes.
        class_names: C texts.
        parts: dict part -> `ImageFiles`, as a new run would split them.

    Returns:
        `Followed`.
    """
    there, keys = joined(parts.values()), [key for files in parts.values() for key in files.identities()]
    part_of = [part for part, files in parts.items() for _ in range(len(files))]
    in_part = {(part, key): place for place, (part, key) in enumerate(zip(part_of, keys, strict=True))}
    # In two trees an image of the same name and size may lie in both: first what lies where it lay.
    found = {part: [in_part.get((part, key)) for key in rows] for part, rows in record.parts.items()}
    used = {place for places in found.values() for place in places}
    elsewhere = {key: place for (_, key), place in in_part.items() if place not in used}
    for part, places in found.items():
        for row, place in enumerate(places):
            if place is None:
                places[row] = elsewhere.pop(record.parts[part][row], None)
    used = {place for places in found.values() for place in places}
    gone = {
        part: [key for key, place in zip(record.parts[part], found[part], strict=True) if place is None]
        for part in PARTS
    }
    new = {part: [] for part in PARTS}
    for place, (part, key) in enumerate(zip(part_of, keys, strict=True)):
        if place not in used:
            new[part].append(key)
    known = {part: there.take([place for place in places if place is not None]) for part, places in found.items()}
    return Followed(known, *_changed(class_names, gone, new))


def trained_on(record, class_names, files):
    """Which images the run of a record was trained on and did not hold out, or one it started from was trained on.

    Args:
        record: `Record`, of whichever classes.
        class_names: C texts, of `files`.
        files: `ImageFiles`.

    Returns:
        list of N bools.
    """
    trained = _trained(record)
    return [(class_names[label], *key) in trained for label, *key in files.identities()]


def _trained(record):
    """Set of (class name, path below the class, size) of what `trained_on` finds.

    Where two trees hold an image of the same name and size, it is the one that was held out.  What the run of the
    record has from earlier runs stays trained on, also if it was held out: runs of older versions did that.
    """

    def of(*parts):
        return {(record.class_names[label], *key) for part in parts for label, *key in record.parts[part]}

    return (of("train") - of("validation", "test")) | of(EARLIER)


def without_trained(listed, parts, split, record, evaluating=False):
    """Parts without images to test or validate on that the run of `record` was trained on; says which.

    They are trained on if their part was drawn out of the training images; else, and where nothing is trained, they are
    left out.

    Args:
        listed: `bbn_tf.data.file_sets.Listed`.
        parts: dict part -> `ImageFiles`.
        split: `bbn_tf.data.file_sets.Split`.
        record: `Record` of the run that this one starts from.
        evaluating: whether it is the run itself, which is evaluated on images that it did not record.

    Returns:
        dict as `parts`.

    Raises:
        UserError: nothing is left to evaluate on.
    """
    parts = dict(parts)
    for part, drawn in (("test", "all" in listed.parts), ("validation", split.validation_fraction > 0)):
        drawn = drawn and not evaluating
        itself = np.array(trained_on(record, listed.class_names, parts[part]), bool)
        _note_look_alikes(record, parts[part].take(~itself), part)
        if not itself.any():
            continue
        trained = _with_their_groups(listed, parts[part], itself)
        known = parts[part].take(trained)
        names = [f"{listed.class_names[i]}/{name}" for i, name, _ in parts[part].take(itself).identities()]
        told = f"{len(names)} of {len(trained)} {part} images were trained on by {record.place}"
        told += f" ({listing.named(names)})"
        if more := len(known) - len(names):
            told += f", {more} more are of their groups"
        if trained.all() and part == split.evaluated:
            told = f"all {told}" if itself.all() else told
            if evaluating:
                raise UserError(f"--data_dir={listed.root}: {told}; must hold others to evaluate on")
            raise UserError(f"--init_from={record.place}: {told}; a run that starts from it can't be evaluated on them")
        print(f"note: {told}; {'in the training part instead' if drawn else 'left out'}")
        parts[part] = parts[part].take(~trained)
        if drawn:
            parts["train"] = joined([parts["train"], known])
    return parts


def _with_their_groups(listed, files, chosen):
    """bool [N]: the `chosen` of N `files`, and all of a group that has one of them."""
    groups = [listed.groups.get(path) for path in files.paths.tolist()]
    torn = {group for group, one in zip(groups, chosen, strict=True) if one and group}
    return chosen | np.array([group in torn for group in groups], bool)


def _note_look_alikes(record, files, part):
    """Says so if images may be those that a run was trained on, found in other folders or classes than there."""
    trained = {(path.rpartition("/")[2], size) for _, path, size in _trained(record)}
    alike = sum((path.rpartition("/")[2], size) in trained for _, path, size in files.identities())
    if alike and alike >= ALIKE * len(files):
        print(
            f"note: {alike} of {len(files)} {part} images have name and size of images that {record.place} was trained "
            "on, in other folders or classes: if they are the same, the errors come out too low; lay them out as there"
        )


def earlier(record, class_names, train):
    """Rows of what was trained on before, by the run of `record` or one that it started from, but is not in `train`.

    Args:
        record: `Record` of the run that this one starts from.
        class_names: C texts.
        train: list of keys of this run's training images.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    trained, known = _trained(record), set(train)
    rows = [
        (label_of.get(record.class_names[label]), *key)
        for part in ("train", EARLIER)
        for label, *key in record.parts[part]
        if (record.class_names[label], *key) in trained
    ]
    return [row for row in rows if row[0] is not None and row not in known]


def _changed(class_names, gone, new):
    """(missing, changed, new) as texts: what is gone and there with another size has changed."""

    def text(key):
        return f"{class_names[key[0]]}/{key[1]}"

    there = {key[:2] for keys in new.values() for key in keys}
    was = {key[:2] for keys in gone.values() for key in keys}
    return (
        {part: [text(key) for key in keys if key[:2] not in there] for part, keys in gone.items()},
        {part: [text(key) for key in keys if key[:2] in there] for part, keys in gone.items()},
        {part: [text(key) for key in keys if key[:2] not in was] for part, keys in new.items()},
    )


def is_of_others(record, listed, other_classes):
    """Whether a data set is another than that of a record, not the same with photos missing or new.

    Args:
        record: `Record`.
        listed: `bbn_tf.data.file_sets.Listed`.
        other_classes: whether other classes are a sign of it.
    """
    if tuple(listed.class_names) != record.class_names:
        return other_classes
    there = {key for files in listed.parts.values() for key in files.identities()}
    return not any(key in there for part in PARTS for key in record.parts[part])
