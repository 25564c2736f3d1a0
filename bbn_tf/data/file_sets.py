"""From lists of image files to a data set: damage is found, parts are split, the record of a run is followed."""

import dataclasses

import numpy as np

from bbn_tf.data import file_checks, group_split, recorded
from bbn_tf.data import split as split_lib
from bbn_tf.data.image_parts import PARTS, ImageFiles, files_of_rows, joined, nothing
from bbn_tf.data.listing import ENDINGS
from bbn_tf.errors import UserError

TEST_FRACTION, SPLIT_SEED = 0.2, 0
REPLACE = "replace them, or leave them out with --skip_unreadable"


@dataclasses.dataclass(frozen=True)
class Listed:
    """Image files as they were found.

    Attributes:
        root: the data's folder, text.
        class_names: C texts.
        parts: dict part -> `ImageFiles`: "all" to be split, or "train" with "test", "validation" or both.
        groups: dict path (bytes) -> group, of images that are held out by groups; empty without.
    """

    root: str
    class_names: tuple[str, ...]
    parts: dict[str, ImageFiles]
    groups: dict[bytes, bytes] = dataclasses.field(default_factory=dict)
    lacking = {  # what a part without an image needs
        "test": "a class needs two, or to be in test/ as well",
        "validation": "--evaluate_on=validation needs a folder val/, or --validation_fraction",
    }

    @property
    def title(self):
        """How a message names where the images come from."""
        return f"--data_dir={self.root}"

    def has(self, part):
        """Why a part is not drawn from the others, the end of a message."""
        return f"since {self.root} has {part} images of its own"

    def without_image(self, label):
        """A message that a class has no image to train on."""
        looked_for = f"(looked for {' '.join(ENDINGS)}); every class needs one"
        return f"{self.title}: class {self.class_names[label]!r} has no image to train on {looked_for}"

    def shown(self, path):
        """How a message names a file."""
        return file_checks.shown(path, self.root)


@dataclasses.dataclass(frozen=True)
class Split:
    """How images are divided.

    Attributes:
        test_fraction, split_seed: of one tree; None for 0.2 and 0.
        validation_fraction, seed: part of the training images that is held out; 0 for none.
        evaluate_on: "test", "validation" or None for "validation" with a fraction and else "test".
    """

    test_fraction: float | None = None
    split_seed: int | None = None
    validation_fraction: float = 0.0
    seed: int = 0
    evaluate_on: str | None = None

    @property
    def evaluated(self):
        return self.evaluate_on or ("validation" if self.validation_fraction else "test")

    def parts(self, listed):
        """dict of `PARTS` -> `ImageFiles` of a `Listed`.

        Raises:
            UserError: a setting has no meaning, since the folder says what is evaluated on.
        """
        there = dict(listed.parts)
        if "all" in there:
            self._refuse_two_validation_parts(listed)
            fraction = TEST_FRACTION if self.test_fraction is None else self.test_fraction
            there["train"], there["test"] = halves(
                there.pop("all"), fraction, "test", self.split_seed or SPLIT_SEED, listed.groups
            )
        else:
            self._refuse_senseless(listed)
            if "test" not in there and (self.evaluated == "test" or self.validation_fraction):
                print(f"note: {listed.root} has no test images of its own: the validation images are the test set")
                there["test"] = there.pop("validation")
        if self.validation_fraction:
            there["train"], there["validation"] = halves(
                there["train"], self.validation_fraction, "validation", self.seed, listed.groups
            )
        return {part: there.get(part, nothing()) for part in PARTS}

    def _refuse_senseless(self, listed):
        for name in ("test_fraction", "split_seed"):
            if (value := getattr(self, name)) is not None:
                there = "test" if "test" in listed.parts else "validation"
                raise UserError(f"--{name}={value:g}: has no meaning here, {listed.has(there)}")
        if "test" in listed.parts:
            self._refuse_two_validation_parts(listed)

    def _refuse_two_validation_parts(self, listed):
        if self.validation_fraction and "validation" in listed.parts:
            raise UserError(
                f"--validation_fraction={self.validation_fraction:g}: has no meaning here, "
                f"{listed.has('validation')}; --evaluate_on=validation evaluates on them"
            )


def halves(files, fraction, purpose, seed, groups):
    """(`ImageFiles` that stay, those held out); see `split.held_out`, and with `groups` `group_split.held_out`."""
    if groups:
        names = [groups[path].decode() for path in files.paths.tolist()]
        chosen = group_split.held_out(names, files.labels, fraction, purpose, seed)
    else:
        chosen = split_lib.held_out(files.names(), files.labels, fraction, purpose, seed)
    return files.take(~chosen), files.take(chosen)


def load(listed, split, *, skip_unreadable=False, find_damage=None, record=None, use="train", started_from=None):
    """Which images are used for what.

    Args:
        listed: `Listed`.
        split: `Split`.
        skip_unreadable: whether to leave damaged files out; then all are decoded.
        find_damage: function as `file_checks.glance` to use instead of the usual ones.
        record: `bbn_tf.data.record.Record` to follow: this run's, or that of a second stage's first.
        use: what for with a record: "train" refuses another training set; "second_stage" takes of it what is there,
            and so does "retrain" unless the classes are others; "evaluate" needs no training images.
        started_from: `Record` of the run of --init_from, whose training images are neither tested nor validated on.

    Returns:
        (dict of `PARTS` and "unreadable" -> `ImageFiles`, name of the part to evaluate on).

    Raises:
        UserError: files are damaged, a part is empty, or the record does not allow it.
    """
    if record is not None and use != "train" and recorded.is_of_others(record, listed, use == "retrain"):
        record, started_from = None, record
    if record is not None:
        parts = _followed(listed, split.parts(listed), record, split.evaluated, use)
        if use != "evaluate":
            used = joined(parts[part] for part in ("train", split.evaluated))
            refuse_damaged(used, listed, file_checks.glance, "put the files back as they were")
    else:
        listed, unreadable = readable(listed, skip_unreadable, find_damage)
        parts = {**split.parts(listed), "unreadable": unreadable}
        if started_from is not None:
            parts = recorded.without_trained(listed, parts, split, started_from, use == "evaluate")
            if use == "evaluate":
                _note_others(listed, parts, split.evaluated, started_from)
                parts["train"] = _labels_only(started_from)
        if not skip_unreadable and find_damage is None:
            refuse_damaged(parts[split.evaluated], listed, file_checks.decode, REPLACE)
    check_parts(listed, parts, split.evaluated, use)
    for part in {"test", "validation"} - {split.evaluated}:
        if len(parts[part]):
            print(f"note: {len(parts[part])} {part} images are not used; --evaluate_on={part} evaluates on them")
    return parts, split.evaluated


def readable(listed, skip_unreadable, find_damage):
    """(`Listed` without damaged files, `ImageFiles` of them).

    Raises:
        UserError: there are some, and not `skip_unreadable`.
    """
    files = joined(listed.parts.values())
    damaged = (find_damage or (file_checks.decode if skip_unreadable else file_checks.glance))(files.paths)
    if damaged:
        text = _damaged_text(files, damaged, listed)
        if not skip_unreadable:
            raise UserError(f"--data_dir={listed.root}: {text}; {REPLACE}")
        print(f"note: {text}; left out")
    good = np.ones(len(files), bool)
    good[list(damaged)] = False
    masks = np.split(good, np.cumsum([len(part) for part in listed.parts.values()])[:-1])
    parts = {name: part.take(mask) for (name, part), mask in zip(listed.parts.items(), masks, strict=True)}
    return dataclasses.replace(listed, parts=parts), files.take(~good)


def refuse_damaged(files, listed, find_damage, advice):
    """Raises UserError if some of `files` (`ImageFiles` of a `Listed`) are damaged."""
    if damaged := find_damage(files.paths):
        raise UserError(f"--data_dir={listed.root}: {_damaged_text(files, damaged, listed)}; {advice}")


def _damaged_text(files, damaged, listed):
    named = file_checks.named(files.paths, damaged, listed.shown)
    return f"{len(damaged)} of {len(files)} image files can't be read: {named}"


def _followed(listed, fresh, record, evaluated, use):
    """Parts as a record has them; prints what is missing or new.

    Raises:
        UserError: other classes; or, to train on, another training set.
    """
    recorded.check_class_names(record.class_names, listed.class_names, record.place, listed.root)
    found = recorded.follow(record, listed.class_names, fresh)
    if use == "train" and (changed := found.differences("train")):
        raise UserError(
            f"--data_dir={listed.root}: the training images are not those that {record.place} began with: {changed}; "
            "put the files back as they were, train all again with --overwrite, or start a new run from this one with "
            f"--init_from={record.place} in another --model_dir"
        )
    if changes := [f"{part} images: {text}" for part in PARTS if (text := found.differences(part))]:
        print(f"note: since {record.place} began, {'; '.join(changes)}; used are the recorded ones that are there")
    return found.parts if use != "evaluate" else {**found.parts, "train": _labels_only(record)}


def _labels_only(record):
    """`ImageFiles` without paths of all recorded training images: an evaluation needs their number by class."""
    return files_of_rows([(b"", label, 0) for label, *_ in record.parts["train"]])


def _note_others(listed, parts, evaluated, record):
    """Says that a run is evaluated on other images than it recorded, and on which of them."""
    total = sum(len(files) for files in listed.parts.values())
    print(
        f"note: {listed.root} has other images than {record.place} recorded: it is evaluated on the {evaluated} part "
        f"of these, {len(parts[evaluated])} of {total}; many, medium and few go by the run's own training images"
    )


def check_parts(listed, parts, evaluated, use):
    """Raises UserError: fewer than two classes, one without an image to train on, or no image to evaluate on."""
    names = listed.class_names
    if len(names) < 2:
        raise UserError(f"--data_dir={listed.root}: has one class only, {names[0]!r}; needs two or more")
    without = np.flatnonzero(np.bincount(parts["train"].labels, minlength=len(names)) == 0)
    if len(without) and use != "evaluate":
        raise UserError(listed.without_image(without[0]))
    if not len(parts[evaluated]):
        raise UserError(f"{listed.title}: no image to evaluate on; {listed.lacking[evaluated]}")
