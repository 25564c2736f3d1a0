"""iNaturalist as TFDS prepares it, where that allows random access, as its format array_record does."""

import numpy as np

from bbn_tf.data.image_files import RecordDataset
from bbn_tf.errors import UserError

SPLITS = ("train", "validation")


def load(data_dir, name, image_size, **unused):
    """A data set of TFDS with `image` and `label`, whose images are read and decoded when drawn.

    The labels are within the images' records, so every record is read once at the start.

    Args:
        data_dir: TFDS's folder; None for its default.
        name: TFDS's name.
        image_size: side of the crop that the network sees.

    Returns:
        `RecordDataset`.

    Raises:
        UserError: not prepared, or not with random access.
    """
    import tensorflow_datasets as tfds

    builder = _prepared(name, data_dir)
    try:
        encoded = {"image": tfds.decode.SkipDecoding()}
        sources = [builder.as_data_source(split, decoders=encoded) for split in SPLITS]
        labels = [_labels(source, f"{name} {split}") for source, split in zip(sources, SPLITS, strict=True)]
    except Exception as error:  # whatever damaged files make array_record raise
        raise UserError(f"{builder.data_path}: can't be read ({type(error).__name__}); prepare {name} again") from error
    first = len(sources[0])

    def content(position):
        source, index = (sources[0], position) if position < first else (sources[1], position - first)
        return source[int(index)]["image"]

    positions = np.split(np.arange(first + len(sources[1])), [first])
    names = tuple(builder.info.features["label"].names)
    return RecordDataset(positions[0], labels[0], positions[1], labels[1], names, image_size=image_size,
                         content=content)  # fmt: skip


def _prepared(name, data_dir):
    """TFDS's builder of a data set that is prepared with random access."""
    import tensorflow_datasets as tfds

    wanted = f"`tfds build {name} --file_format=array_record`, or take the original files (--dataset=inaturalist...)"
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        prepared = builder.is_prepared()
    except Exception as error:
        raise UserError(f"--data_dir={data_dir or ''}: {name} can't be read ({type(error).__name__})") from error
    if not prepared:
        raise UserError(f"--dataset={name}: not prepared in {builder.data_path}; prepare it with {wanted}")
    if builder.info.file_format.value != "array_record":
        raise UserError(
            f"--dataset={name}: {builder.data_path} holds {builder.info.file_format.value} files, which have no random "
            f"access, and reversed sampling would read 270 images for one; prepare it with {wanted}"
        )
    return builder


def _labels(source, title):
    print(f"{title}: reading the labels of {len(source):,} records")
    return np.fromiter((source[i]["label"] for i in range(len(source))), np.int64, len(source))
