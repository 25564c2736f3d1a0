"""The data sets by name, and how one becomes long-tailed."""

import os

from bbn_tf.choices import Choice, Setting, Table, above, at_least, is_seed, within
from bbn_tf.data import long_tail
from bbn_tf.data.list_settings import LISTS, TFDS
from bbn_tf.data.long_tail import AS_IT_IS, LONG_TAIL
from bbn_tf.errors import UserError

IMAGE_SIZE = Setting(
    "image_size", 224, "Side of the crop of an image file that the network sees, in pixels.", rule=within(8, 4096)
)
USUAL_SPLITS = "train,test"  # of TFDS data, if none are given
SKIP_UNREADABLE = Setting("skip_unreadable", False, "Leave damaged image files out; by default they are refused.")


TEST_FRACTION = Setting(
    "test_fraction",
    None,
    "Data without a test part: the fraction of every class that becomes the test set (0.2 if not given).",
    kind=float,
    rule=above(0, below=1),
)
SPLIT_SEED = Setting("split_seed", None, "Which images that part is (0 if not given).", kind=int, rule=is_seed)


HELD_OUT = Setting(
    "validation_fraction",
    0.0,
    "Part of the training images to hold out, class by class, and to evaluate on unless --evaluate_on=test.",
    rule=at_least(0, below=1),
)
EVALUATE_ON = Setting(
    "evaluate_on",
    None,
    "test, or validation: val/ or what --validation_fraction holds out; by default test without such a fraction.",
    kind=str,
    names=("test", "validation"),
)


def _files(function, *settings, **options):
    """Image files of any size, long-tailed as they come."""
    return Choice(function, IMAGE_SIZE, SKIP_UNREADABLE, *settings, files=True, encoded=True, **options)


def _own(named_by):
    """Traits of images that a user has."""
    return {"own_images": True, "named_by": named_by}


def _inaturalist(year):
    return _files("bbn_tf.data.inaturalist:load", arguments={"year": year})


def _records(name):
    """One of `tfds`, by the name that it had before that."""
    which = {"tfds_name": name, "tfds_splits": ("train", "validation")}
    return Choice("bbn_tf.data.tfds_records:load", IMAGE_SIZE, arguments=which, encoded=True)


# Traits: `files`, the images are files below --data_dir: the row holds some out itself, and a run records them;
# `encoded`, they are decoded when drawn, and of any size ("by size": that depends on their size); `own_images`,
# --data_dir belongs to the settings of a run; `named_by`, the setting that says which data these are.
DATASETS = Table(
    "dataset",
    digits_lt=Choice("bbn_tf.data.small_sets:digits", *LONG_TAIL),
    cifar10_lt=Choice("bbn_tf.data.small_sets:cifar10", *LONG_TAIL),
    cifar100_lt=Choice("bbn_tf.data.small_sets:cifar100", *LONG_TAIL),
    folder=_files("bbn_tf.data.image_folders:load", TEST_FRACTION, SPLIT_SEED, **_own("data_dir")),
    list=_files("bbn_tf.data.image_lists:load", *LISTS, TEST_FRACTION, SPLIT_SEED, **_own("train_list")),
    tfds=Choice(
        "bbn_tf.data.tfds_records:load",
        *TFDS,
        IMAGE_SIZE.with_default(None),
        *AS_IT_IS,
        encoded="by size",
        named_by="tfds_name",
    ),
    inaturalist2017=_inaturalist(2017),
    inaturalist2018=_inaturalist(2018),
    inaturalist2019=_inaturalist(2019),
    inaturalist2021=_inaturalist(2021),
    inaturalist2021_mini=_inaturalist("2021_mini"),
    i_naturalist2017=_records("i_naturalist2017"),
    i_naturalist2018=_records("i_naturalist2018"),
)


def which(name, values):
    """Which of a data set's data these are: the name of its folder, list or TFDS set; None where its own name says all.

    Args:
        name: of `DATASETS`.
        values: dict name of a setting -> value or its text.
    """
    row = DATASETS[name]
    value = values.get(row.named_by) if row.named_by else None
    return os.path.splitext(os.path.basename(os.path.abspath(value)))[0] if value and row.own_images else value


def title(settings):
    """The data of a run in words, "folder photos" or "cifar10_lt, IF 50"; settings: dict of its flags.txt."""
    name, factor = settings.get("dataset"), settings.get("imbalance_factor")
    words = [str(name), which(name, settings) if name in DATASETS else None]
    if (splits := settings.get("tfds_splits", USUAL_SPLITS)) != USUAL_SPLITS:
        words.append(splits)
    parts = [" ".join(filter(None, words))]
    if factor:
        parts.append(f"IF {factor}")
        parts += [profile] if (profile := settings.get("imbalance_profile", "exp")) != "exp" else []
        parts += [f"images of seed {seed}"] if (seed := settings.get("imbalance_seed", "0")) != "0" else []
    return ", ".join(parts)


def load(
    name,
    *,
    data_dir=None,
    imbalance_factor=None,
    imbalance_profile="exp",
    imbalance_seed=0,
    validation_fraction=0.0,
    seed=0,
    evaluate_on=None,
    **settings,
):
    """A long-tailed data set.

    Args:
        name: of `DATASETS`.
        data_dir: TFDS's folder, None for its default; or the images' folder.
        imbalance_factor, imbalance_profile: see `long_tail.class_counts`; None for the data as they are.
        imbalance_seed: which images are kept.
        validation_fraction: in [0, 1); if positive, that part of the long-tailed training images, class by
            class, is not trained on.
        seed: which images are held out.
        evaluate_on: "test", "validation" or None for "validation" with a fraction and else "test".
        **settings: what only this data set has, and for image files what `file_sets.load` takes.

    Returns:
        `ImageDataset`.

    Raises:
        UserError: data not available, or a class would be empty.
    """
    if DATASETS[name].files:
        held = {"validation_fraction": validation_fraction, "seed": seed, "evaluate_on": evaluate_on}
        return DATASETS[name](data_dir, **held, **settings)
    tail = DATASETS[name](data_dir, **settings)
    if imbalance_factor is not None:
        counts = long_tail.class_counts(tail.class_counts.max(), tail.num_classes, imbalance_factor, imbalance_profile)
        tail = tail.keep(long_tail.subset_indices(tail.train_labels, counts, imbalance_seed))
    if not validation_fraction:
        if evaluate_on == "validation":
            raise UserError("--evaluate_on=validation: needs --validation_fraction, the part to hold out")
        return tail
    train, held_out = long_tail.stratified_split(tail.train_labels, validation_fraction, seed)
    return tail.keep(train) if evaluate_on == "test" else tail.held_out(train, held_out)
