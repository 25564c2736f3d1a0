"""The runs that a run builds on, where no list of images says what they were trained on: in memory, and of TFDS."""

import os

from bbn_tf import flags
from bbn_tf.choices import as_text
from bbn_tf.data import tfds_builders
from bbn_tf.errors import UserError

DIVIDED_BY = ("validation_fraction", "seed", "imbalance_factor", "imbalance_profile", "imbalance_seed")


def folder_of(path):
    """Folder of the run that --init_from or --from_run names by it or by its `.keras` file; None of other files."""
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    of_a_run = os.path.isdir(path) or path.endswith(".keras")
    return folder if of_a_run and os.path.isfile(os.path.join(folder, "flags.txt")) else None


def refuse_trained_on(config, path):
    """Refuses to evaluate a run on images that one it builds on, or one that this builds on, was trained on.

    Args:
        config: `Config` of a run whose images are in memory or TFDS's, and are there.
        path: what it builds on.

    Raises:
        UserError: names the images or the setting.
    """
    seen = set()
    while path and (folder := folder_of(path)) and os.path.realpath(folder) not in seen:
        seen.add(os.path.realpath(folder))
        earlier = flags.as_trained(folder)
        _refuse(config, earlier, folder)
        path = earlier.from_run or earlier.init_from


def _refuse(config, earlier, folder):
    (name, (train, test)), (earlier_name, (trained_on, _)) = _source(config), _source(earlier)
    if name != earlier_name:
        return
    validation = config.validation_fraction and config.evaluate_on != "test"
    evaluated = train if validation else test
    if not _share_images(name, config.data_dir, trained_on, evaluated):
        return
    if not validation:
        raise UserError(
            f"{folder}: was trained on {trained_on!r} of {name}, and this run, which builds on it, would be evaluated "
            f"on images of that: {evaluated!r}"
        )
    differ = [setting for setting in DIVIDED_BY if getattr(config, setting) != getattr(earlier, setting)]
    if differ or (config.dataset, config.tfds_splits) != (earlier.dataset, earlier.tfds_splits):
        setting = differ[0] if differ else "dataset" if config.dataset != earlier.dataset else "tfds_splits"
        raise UserError(
            f"--{setting}={as_text(getattr(config, setting))}: must be {as_text(getattr(earlier, setting))} as of "
            f"{folder}, which this run builds on, or it would be validated on images that {folder} was trained on"
        )


def _source(config):
    """(name of a data set, (split to train on, split of the test set)), as TFDS has them; digits alike."""
    row = config.row("dataset")
    name = config.tfds_name or row.arguments.get("tfds_name") or config.dataset.removesuffix("_lt")
    return name.partition(":")[0], config.tfds_splits or row.arguments.get("tfds_splits") or ("train", "test")


def _share_images(name, data_dir, one, other):
    """Whether two splits have images in common."""
    if one == other or {one, other} == {"train", "test"}:
        return one == other
    return tfds_builders.share_images(tfds_builders.prepared(name, data_dir), one, other)
