"""The runs that a run builds on, where no list of images says what they were trained on: in memory, and of TFDS."""

import os
import re

from bbn_tf import flags
from bbn_tf.choices import as_text
from bbn_tf.data import tfds_origin
from bbn_tf.errors import UserError
from bbn_tf.models.keras_table import IMAGENET

DIVIDED_BY = (
    *("dataset", "tfds_splits", "validation_fraction", "seed"),
    *("imbalance_factor", "imbalance_profile", "imbalance_seed"),
)
UNKNOWN = "if it was trained on images that are evaluated on here, the errors come out too low"


def folder_of(path):
    """Folder of the run that --init_from or --from_run names by it or by its `.keras` file; None of other files."""
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    of_a_run = os.path.isdir(path) or path.endswith(".keras")
    return folder if of_a_run and os.path.isfile(os.path.join(folder, "flags.txt")) else None


def check(config, origin):
    """Refuses to evaluate a run on images that one it builds on, or one that this builds on, was trained on.

    Args:
        config: `Config` of a run whose images are in memory or TFDS's, and are there.
        origin: `tfds_origin.Origin` of them, None of digits.

    Raises:
        UserError: see `check_settings`; or the same settings hold out other images now.
    """
    for folder, earlier in _chain(config.from_run or config.init_from):
        shared = check_settings(config, earlier, folder, look=True)
        known = tfds_origin.read(folder) if shared and origin is not None else None
        if known is not None and known.order != origin.order:
            raise UserError(
                f"{folder}: had other images or another order of {known.name}, so that this run, which builds on it, "
                "would be validated on images that it was trained on; put that back, or give --evaluate_on=test"
            )


def _chain(path):
    """Yields (folder, `Config`) of a run and of those that it builds on; says so where one can't be read."""
    seen = set()
    while path and path != IMAGENET:
        folder = folder_of(path)
        if folder is None and not os.path.exists(path):
            print(f"note: {path}: a run that this one builds on is not there: {UNKNOWN}")
        if folder is None or os.path.realpath(folder) in seen:
            return
        seen.add(os.path.realpath(folder))
        try:
            earlier = flags.as_trained(folder)
        except UserError as error:
            print(f"note: {path}: which run it is of can't be known ({error}): {UNKNOWN}")
            return
        yield folder, earlier
        path = earlier.from_run or earlier.init_from


def check_settings(config, earlier, folder, look=False):
    """What `check` does for one of the runs, as far as its settings say it.

    Args:
        config: `Config` of the run that builds on the other.
        earlier: `Config` of the other.
        folder: where the other is.
        look: whether to find out from TFDS which images are in parts and unions of splits.

    Returns:
        bool: whether both hold out the same validation images, if their images and the order are the same.

    Raises:
        UserError: the run would be tested or validated on images that the other was trained on.
    """
    (name, (train, test)), (earlier_name, (trained_on, _)) = _source(config), _source(earlier)
    validates = bool(config.validation_fraction and config.evaluate_on != "test")
    evaluated = train if validates else test
    if name != earlier_name or not _share_images(config, name, trained_on, evaluated, look):
        return False
    if not validates:
        setting = "dataset" if config.tfds_splits is None else "tfds_splits"
        raise UserError(
            f"--{setting}={as_text(getattr(config, setting))}: {test!r} has images that {folder}, which this run "
            f"builds on, was trained on: its {trained_on!r} of {name}; must evaluate on others"
        )
    for setting in DIVIDED_BY:
        own, other = getattr(config, setting), getattr(earlier, setting)
        if own != other:
            shown = f"--{setting}" if own is None else f"--{setting}={as_text(own)}"
            raise UserError(
                f"{shown}: must be {'left out' if other is None else as_text(other)} as of {folder}, which this run "
                "builds on, or it would be validated on training images of that run; or give --evaluate_on=test"
            )
    return True


def _source(config):
    """(name of a data set, (split to train on, split of the test set)), as TFDS has them; digits alike."""
    row = config.row("dataset")
    name = config.tfds_name or row.arguments.get("tfds_name") or config.dataset.removesuffix("_lt")
    splits = config.tfds_splits or row.arguments.get("tfds_splits") or ("train", "test")
    return re.sub(r":[0-9.*]+$", "", name), splits


def _share_images(config, name, one, other, look):
    """Whether two splits have images in common; of other than the usual ones only with `look`."""
    if one == other or not look or {one, other} <= {"train", "test", "validation"}:
        return one == other
    from bbn_tf.data import tfds_builders  # which imports TFDS

    data = tfds_builders.prepared(config.tfds_name or name, config.data_dir)
    return tfds_builders.share_images(data, one, other)
