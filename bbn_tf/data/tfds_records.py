"""Any TFDS data set of images with one label: in memory if it is small, else read at random, as array_record allows."""

import dataclasses

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from bbn_tf.choices import IMAGENET_MEAN, IMAGENET_STD
from bbn_tf.data import decoding, tfds_builders, tfds_labels, tfds_origin
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.data.image_files import RecordDataset
from bbn_tf.errors import UserError

IN_MEMORY = 2 * 10**9  # bytes of decoded images that are held in memory
IMAGE_SIZE = 224  # side of the crop, where images must be cropped and nothing else is said
BATCH = 1024  # records at a time


def load(data_dir, tfds_name, tfds_splits=("train", "test"), image_size=None):
    """A data set as TFDS has prepared it.

    Images that all have the same size and take at most 2 GB decoded are held in memory as they are, sorted by `id` if
    there is one, as CIFAR is.  Others are cropped to `image_size` and decoded when drawn: out of array_record files,
    which can be read at random, or, if they take at most 2 GB decoded, out of memory.

    Args:
        data_dir: TFDS's folder; None for its default.
        tfds_name: NAME[/CONFIG][:VERSION].
        tfds_splits: (split to train on, split to evaluate on), TFDS's names or parts as "train[:80%]".
        image_size: side of the crop that the network sees; None to crop only what must be, to 224.

    Returns:
        `ImageDataset` or `RecordDataset`.

    Raises:
        UserError: not prepared, not with random access where that is needed, or not images with one label.
    """
    data = tfds_builders.prepared(tfds_name, data_dir)
    tfds_builders.check_splits(data, tfds_splits)
    same_size = None not in data.shape[:2]
    decoded = sum(map(data.count, tfds_splits)) * data.shape[0] * data.shape[1] * 3 if same_size else 0
    if decoded > IN_MEMORY and not data.random_access:
        raise _too_large(data)
    try:
        if same_size and decoded <= IN_MEMORY and image_size is None:
            return _as_arrays(data, tfds_splits)
        if data.random_access:
            return _read_at_random(data, tfds_splits, image_size or IMAGE_SIZE)
        return _encoded(data, tfds_splits, image_size or IMAGE_SIZE)
    except UserError:
        raise
    except Exception as error:  # whatever damaged files make TFDS, array_record or TensorFlow raise
        raise UserError(
            f"--tfds_name={tfds_name}: {data.builder.data_path} can't be read ({type(error).__name__}); delete it and "
            f"prepare it again with `{tfds_builders.command(tfds_name, data.builder)}`"
        ) from error


def _too_large(data):
    return UserError(
        f"--tfds_name={data.name}: {data.builder.data_path} holds {data.builder.info.file_format.value} files, which "
        f"can't be read at random, and more than {IN_MEMORY / 1e9:g} GB of decoded images; delete it and prepare it "
        f"again with `{tfds_builders.command(data.name, data.builder)}`"
    )


def _as_arrays(data, splits):
    """`ImageDataset` of images of the same size."""
    parts, told_apart_by = [], []
    for split in splits:
        encoded, labels, ids = _read(data, split)
        order = np.argsort(ids) if data.id else np.arange(len(labels))  # prepared files are shuffled
        images = np.empty((len(labels), *data.shape[:2], 3), np.uint8)
        done = 0
        for batch in _mapped([encoded[i] for i in order], _decode).batch(BATCH).as_numpy_iterator():
            images[done : done + len(batch)] = batch
            done += len(batch)
        parts += [images, labels[order]]
        told_apart_by.append([(int(labels[i]), *ids[i : i + 1]) for i in order])
    dataset = ImageDataset(*parts, data.class_names, IMAGENET_MEAN, IMAGENET_STD)
    return _checked(data, splits, dataset, told_apart_by)


def _read_at_random(data, splits, image_size):
    """`RecordDataset` whose images are read when drawn."""
    sources = [_source(data, split) for split in splits]
    labels = [tfds_labels.of_source(data, split, source) for split, source in zip(splits, sources, strict=True)]
    first = len(sources[0])

    def content(position):
        records, index = (sources[0], position) if position < first else (sources[1], position - first)
        return records[int(index)][data.image]

    return _checked(data, splits, _records(data, labels, image_size, content))


def _encoded(data, splits, image_size):
    """`RecordDataset` of images that are held in memory as they are encoded."""
    contents, labels = [], []
    for split in splits:
        encoded, numbers, _ = _read(data, split, limit=IN_MEMORY)
        contents += encoded
        labels.append(numbers)
    return _checked(data, splits, _records(data, labels, image_size, lambda position: contents[int(position)]))


def _records(data, labels, image_size, content):
    positions = np.split(np.arange(sum(map(len, labels))), [len(labels[0])])
    return RecordDataset(
        positions[0], labels[0], positions[1], labels[1], data.class_names, image_size=image_size, content=content
    )


def _read(data, split, limit=None):
    """(list of N encoded images, labels int64 [N], list of N ids, empty without); stops above `limit` bytes decoded."""
    encoded, labels, ids, decoded = [], [], [], 0
    for batch in _batches(data, split):
        images = list(batch[data.image])
        if limit is not None:
            decoded += sum(_mapped(images, _decoded_bytes).as_numpy_iterator())
            if decoded > limit:
                raise _too_large(data)
        encoded += images
        labels += list(batch[data.label])
        ids += list(batch[data.id]) if data.id else []
    return encoded, np.array(labels, np.int64), ids


def _batches(data, split):
    """Yields dicts of sequences: encoded images, labels and ids of some records, in the order of the files."""
    keys = [key for key in (data.image, data.label, data.id) if key]
    if not data.random_access:
        encoded = {data.image: tfds.decode.SkipDecoding()}
        wanted = tfds.decode.PartialDecoding(dict.fromkeys(keys, True), decoders=encoded)
        records = data.builder.as_dataset(split=split, decoders=wanted, shuffle_files=False)
        yield from records.batch(BATCH).as_numpy_iterator()
        return
    source = _source(data, split)
    for start in range(0, len(source), BATCH):
        records = source.__getitems__(range(start, min(start + BATCH, len(source))))
        yield {key: [record[key] for record in records] for key in keys}


def _source(data, split):
    """Records of a split by position, images as they are encoded."""
    return data.builder.as_data_source(split, decoders={data.image: tfds.decode.SkipDecoding()})


def _mapped(contents, function):
    return tf.data.Dataset.from_tensor_slices(contents).map(function, num_parallel_calls=tf.data.AUTOTUNE)


def _decode(content):
    """Of a grey image three channels alike; transparency is left out."""
    return decoding.decode_stored(content)


def _decoded_bytes(content):
    return tf.cast(3 * tf.reduce_prod(decoding.stored_shape(content)), tf.int64)


def _checked(data, splits, dataset, told_apart_by=None):
    """`dataset` with its origin; raises UserError if labels are missing or a class has no image to train on.

    Args:
        told_apart_by: see `tfds_origin.of`; the labels if None.
    """
    for split, labels in zip(splits, (dataset.train_labels, dataset.eval_labels), strict=True):
        if labels.min() < 0:
            raise UserError(f"--tfds_splits={','.join(splits)}: images of {split!r} have no label")
    if dataset.num_classes < 2:
        raise UserError(f"--tfds_name={data.name}: has one class only, {data.class_names[0]!r}; needs two or more")
    for label in np.flatnonzero(dataset.class_counts == 0):
        raise UserError(
            f"--tfds_splits={','.join(splits)}: {splits[0]!r} has no image of class {data.class_names[label]!r}"
        )
    told_apart_by = told_apart_by or (dataset.train_labels.tolist(), dataset.eval_labels.tolist())
    return dataclasses.replace(dataset, origin=tfds_origin.of(data.builder, data.name, splits, told_apart_by))
