"""A data set of image files that lists name."""

import os
import unicodedata

import numpy as np

from bbn_tf.data import file_checks, group_split, listed_images, split
from bbn_tf.data.image_files import FileDataset
from bbn_tf.data.image_folders import SPLIT_SEED, TEST_FRACTION
from bbn_tf.errors import UserError

PARTS = {"train_list": "train", "eval_list": "test", "validation_list": "validation"}


def load(
    data_dir,
    image_size,
    train_list,
    eval_list=None,
    validation_list=None,
    class_names=None,
    list_columns=None,
    expect_images=None,
    allow_overlap=False,
    evaluate_on="test",
    skip_unreadable=False,
    test_fraction=None,
    split_seed=None,
    find_damage=file_checks.glance,
):
    """Images whose paths and labels stand in list files: see `list_files` for their formats, `list_labels` for classes.

    Args:
        data_dir: folder where the paths in the lists begin.
        image_size: side of the crop that the network sees.
        train_list: path of the list of the images to train on.
        eval_list: of the test set; None to hold out a part of `train_list`, by class, groups as a whole.
        validation_list: of the images to choose settings by; None without.
        class_names: path of a file that names the classes in order; None without.
        list_columns: see `list_files.read`.
        expect_images: (images to train on, images of the test set) that the lists must have; None for any numbers.
        allow_overlap: whether an image may be listed twice, or a group in two lists.
        evaluate_on: "test" or "validation".
        skip_unreadable: whether to leave missing and damaged files out.
        test_fraction, split_seed: of a list that is split; None for 0.2 and 0.
        find_damage: see `file_checks.glance`.

    Returns:
        `FileDataset`.

    Raises:
        UserError: a list is not like that or does not fit the others or the folder, or files are damaged.
    """
    root = os.path.abspath(data_dir)
    if not os.path.isdir(root):
        raise UserError(f"--data_dir={data_dir}: is no folder; must be the one where the paths of the lists begin")
    files = {"train_list": train_list, "eval_list": eval_list, "validation_list": validation_list}
    files = {flag: file for flag, file in files.items() if file is not None}
    names, images = listed_images.read(files, root, class_names, list_columns)
    if len(names) < 2:
        raise UserError(f"--train_list={train_list}: has one class only, {names[0]!r}; needs two or more")
    listed_images.refuse_repeated(images, allow_overlap)
    listed_images.refuse_wrong_folder(images, root)
    parts = {PARTS[flag]: images.take(images.lists == number) for number, flag in enumerate(files)}
    if "test" not in parts:
        parts |= _split(parts["train"], root, test_fraction, split_seed)
    else:
        _refuse_split_settings(eval_list, test_fraction=test_fraction, split_seed=split_seed)
    if expect_images is not None:
        _check_numbers(parts, expect_images)
    if evaluate_on not in parts:
        raise UserError(f"--evaluate_on={evaluate_on}: needs --validation_list")
    parts = [_readable(parts[part], skip_unreadable, find_damage) for part in ("train", evaluate_on)]
    return _dataset(*parts, names, image_size)


def _split(images, root, fraction, seed):
    """dict "train" and "test" -> `ListedImages`."""
    fraction = TEST_FRACTION if fraction is None else fraction
    seed = SPLIT_SEED if seed is None else seed
    if images.groups is None:
        held_out = split.held_out(_names(images.paths, root), images.labels, fraction, "test", seed)
    else:
        groups = [os.fsdecode(group) for group in images.groups.tolist()]
        held_out = group_split.held_out(groups, images.labels, fraction, "test", seed)
    if not held_out.any():
        raise UserError(
            f"{images.title()}: no image can be held out to evaluate on; a class needs two images, or "
            "two groups, or name a list of others by --eval_list"
        )
    return {"train": images.take(~held_out), "test": images.take(held_out)}


def _names(paths, root):
    """List of N texts, the paths from `root` on as NFC: the same wherever the images lie."""
    start = os.path.join(os.fsencode(root), b"")
    texts = (os.fsdecode(path.removeprefix(start)) for path in paths.tolist())
    return [text if text.isascii() else unicodedata.normalize("NFC", text) for text in texts]


def _refuse_split_settings(eval_list, **settings):
    for name, value in settings.items():
        if value is not None:
            raise UserError(f"--{name}={value:g}: has no meaning here, since --eval_list={eval_list} is the test set")


def _check_numbers(parts, expected):
    for part, number in zip(("train", "test"), expected, strict=True):
        images = parts[part]
        if len(images) != number:
            raise UserError(
                f"{images.title()}: {len(images):,} images to {'train on' if part == 'train' else 'evaluate on'}, but "
                f"--expect_images={','.join(map(str, expected))}: is it the list of another data set?"
            )


def _readable(images, skip_unreadable, find_damage):
    """`images` without the files that can't be read.

    Raises:
        UserError: there are some, and not `skip_unreadable`; names the lines.
    """
    damaged = find_damage(images.paths)
    if not damaged:
        return images
    named = [
        f"{images.place(i)}, {file_checks.shown(images.paths[i])} ({reason})"
        for i, reason in list(damaged.items())[: file_checks.MOST_NAMED]
    ]
    more = f" and {len(damaged) - len(named)} more" if len(damaged) > len(named) else ""
    said = f"{images.title()}: {len(damaged)} of {len(images)} images can't be read: {', '.join(named)}{more}"
    if not skip_unreadable:
        raise UserError(f"{said}; replace them or remove their lines, or leave them out with --skip_unreadable")
    print(f"note: {said}; left out")
    good = np.ones(len(images), bool)
    good[list(damaged)] = False
    return images.take(good)


def _dataset(train, test, class_names, image_size):
    """`FileDataset`; raises UserError if unreadable files have left a class or the test set empty."""
    for label in np.flatnonzero(np.bincount(train.labels, minlength=len(class_names)) == 0):
        raise UserError(f"--skip_unreadable: class {class_names[label]!r} has no image left to train on")
    if not len(test):
        raise UserError("--skip_unreadable: no image is left to evaluate on")
    return FileDataset(train.paths, train.labels, test.paths, test.labels, class_names, image_size=image_size)
