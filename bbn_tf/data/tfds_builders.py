"""Which TFDS data sets fit: prepared, images with one label, splits that share no image."""

import dataclasses
import shlex

import numpy as np
import tensorflow_datasets as tfds

from bbn_tf.errors import UserError

RANDOM_ACCESS = "array_record"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A prepared TFDS data set of images with one label.

    Attributes:
        builder: TFDS's.
        name: as the user spells it.
        image, label: names of its two features.
        id: name of the feature that identifies an image, by which its images are sorted; None without.
    """

    builder: object
    name: str
    image: str
    label: str
    id: str | None

    @property
    def class_names(self):
        return tuple(self.builder.info.features[self.label].names)

    @property
    def shape(self):
        """(H, W, channels) of every image, None for what differs."""
        return self.builder.info.features[self.image].shape

    @property
    def random_access(self):
        return self.builder.info.file_format.value == RANDOM_ACCESS

    def count(self, split):
        return self.builder.info.splits[split].num_examples


def prepared(name, data_dir):
    """`Prepared` of a name.

    Args:
        name: NAME[/CONFIG][:VERSION], TFDS's.
        data_dir: TFDS's folder; None for its default.

    Raises:
        UserError: no such name, not prepared, or not images with one label; says with which command to prepare it.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        there = builder.is_prepared()
    except Exception as error:  # whatever an unknown name, config or version, or damaged files make TFDS raise
        raise UserError(f"--tfds_name={name}: TFDS can't read it{_in(data_dir)}: {_first_line(error)}") from error
    if not there:
        raise UserError(
            f"--tfds_name={name}: not prepared in {builder.data_path}; prepare it with `{command(name, builder)}`"
        )
    return Prepared(builder, name, *_features(name, builder.info))


def command(name, builder):
    """How to prepare a data set so that its images can be read at random."""
    return f"tfds build {name} --data_dir={shlex.quote(str(builder._data_dir_root))} --file_format={RANDOM_ACCESS}"


def _in(data_dir):
    return "" if data_dir is None else f" in --data_dir={data_dir}"


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _features(name, info):
    """Names of the features for image, label and id (or None)."""
    features = info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise UserError(f"--tfds_name={name}: is no data set of images with one label")
    images = [key for key, feature in features.items() if type(feature) is tfds.features.Image]
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    usual = info.supervised_keys
    if usual and len(usual) == 2 and usual[0] in images and usual[1] in labels:
        images, labels = usual[:1], usual[1:]
    if len(images) != 1 or len(labels) != 1:
        found = f"images {', '.join(images) or 'none'}; labels {', '.join(labels) or 'none'}"
        raise UserError(f"--tfds_name={name}: must be a data set of images with one label, and has {found}")
    if features[images[0]].dtype != np.uint8:
        raise UserError(f"--tfds_name={name}: images of {features[images[0]].dtype} can't be used; must be of uint8")
    has_id = "id" in features and isinstance(features["id"], tfds.features.Text)
    return images[0], labels[0], "id" if has_id else None


def check_splits(data, splits):
    """Raises UserError if one of the two `splits` is not in `data` (`Prepared`), is empty or shares images."""
    instructions = []
    for split in splits:
        try:
            info = data.builder.info.splits[split]
            instructions.append(info.file_instructions)
        except (ValueError, KeyError, AssertionError, NotImplementedError) as error:
            there = ", ".join(f"{name} ({info.num_examples:,})" for name, info in data.builder.info.splits.items())
            raise UserError(
                f"--tfds_splits={','.join(splits)}: {data.name} has no {split!r}; it has {there}, and parts of them as "
                "train[:80%]"
            ) from error
        if info.num_examples <= 0:  # below 0 of train[80%:20%]
            raise UserError(f"--tfds_splits={','.join(splits)}: {split!r} holds no image")
    if _overlap(*instructions):
        raise UserError(f"--tfds_splits={','.join(splits)}: the two share images; must have none in common")


def share_images(data, one, other):
    """Whether two splits of `data` (`Prepared`) have images in common; not if it has no such split."""
    try:
        return _overlap(*(data.builder.info.splits[split].file_instructions for split in (one, other)))
    except (ValueError, KeyError, AssertionError, NotImplementedError):
        return False


def _overlap(first, second):
    """Whether two lists of TFDS's `FileInstruction`s have a record in common."""
    return any(a.filename == b.filename and max(a.skip, b.skip) < min(_end(a), _end(b)) for a in first for b in second)


def _end(instruction):
    return instruction.examples_in_shard if instruction.take < 0 else instruction.skip + instruction.take
