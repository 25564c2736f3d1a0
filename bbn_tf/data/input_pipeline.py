"""The tf.data pipeline: streams of indices first, then one map that reads, augments and pairs the images.

Every random draw is stateless and depends only on (seed, epoch, step) and the number of its stream: a resumed run draws
the same numbers as a run without a break, with any number of threads.
"""

import numpy as np
import tensorflow as tf

from bbn_tf.data import samplers

UNIFORM_STREAM, RESAMPLED_STREAM, CONVENTIONAL_AUGMENT, REBALANCING_AUGMENT = range(4)
BLOCK = 65_536  # candidates that rejection sampling draws at once: 2 ms of work


def uniform_indices(num_examples, batch_size, *, seed, epoch):
    """Gives every index once per epoch, in a new order for each epoch; the last incomplete batch is dropped.

    Args:
        num_examples: N.
        batch_size: B.
        seed: int.
        epoch: int or scalar int64 tensor.

    Returns:
        Dataset with N // B elements, each int64 [B].
    """
    steps = num_examples // batch_size
    key = _key(seed, epoch, UNIFORM_STREAM)
    order = tf.random.experimental.stateless_shuffle(tf.range(num_examples, dtype=tf.int64), key)
    return tf.data.Dataset.from_tensor_slices(tf.reshape(order[: steps * batch_size], [steps, batch_size]))


def resampled_indices(labels, class_probs, batch_size, *, seed, epoch):
    """Draws a class from `class_probs`, then an image of this class uniformly, with replacement (steps 2, 3 of Eq. 4).

    The function uses rejection sampling in blocks: it draws indices uniformly and keeps each with a probability that
    depends only on the label, so rejected images are never read.  The distribution equals that of
    `tf.data.Dataset.rejection_resample`, which draws and reads one example at a time.

    Args:
        labels: int [N].
        class_probs: float [C].
        batch_size: B.
        seed: int.
        epoch: int or scalar int64 tensor.

    Returns:
        Infinite dataset of int64 [B].
    """
    acceptance = samplers.acceptance_probs(np.bincount(labels, minlength=len(class_probs)), class_probs)
    acceptance_of = tf.constant(acceptance[labels], tf.float32)  # [N]
    key = _key(seed, epoch, RESAMPLED_STREAM)

    def block(number):
        keys = tf.random.split(tf.random.fold_in(key, number), 2)
        candidates = tf.random.stateless_uniform([BLOCK], keys[0], 0, len(labels), tf.int64)
        chance = tf.random.stateless_uniform([BLOCK], keys[1])
        return tf.boolean_mask(candidates, chance < tf.gather(acceptance_of, candidates))

    return tf.data.Dataset.counter().map(block).rebatch(batch_size, drop_remainder=True)


def share_of(size, share):
    """Returns the slice of a batch that one host gets; the slices are contiguous and in the hosts' order.

    Args:
        size: images in the batch.
        share: (host, number of hosts).
    """
    host, hosts = share
    return slice(size // hosts * host, size // hosts * (host + 1))


def training_batches(
    dataset, batch_size, *, sampler, paired, augment, seed, initial_epoch, epochs, deferred_epoch=0, share=(0, 1)
):
    """Makes the training batches of all epochs from `initial_epoch` to `epochs` - 1, in order.

    Args:
        dataset: `ImageDataset`.
        batch_size: B, images per step in each stream.
        sampler: name in `samplers.SAMPLERS`; if `paired`, for the re-balancing stream, else for the only stream.
        paired: whether to pair a uniform and a re-balancing stream (BBN).
        augment: name in `augmentations.AUGMENTATIONS`.
        seed: int, used by every random draw.
        initial_epoch: int, first epoch to make.
        epochs: int, total number of epochs.
        deferred_epoch: first epoch that uses `sampler`; earlier epochs sample uniformly.
        share: (host, number of hosts K); K divides B. The dataset holds only this host's part of every batch, with the
            draws that a single host would make. Files of other parts are not read; images in memory are augmented as a
            whole batch first, because their draws depend on the position in the batch.

    Returns:
        Dataset of ((x_c, x_r), (y_c, y_r)) if `paired`, else (x, y); x float32 [B, H, W, 3], y int64 [B], or B/K images
        and labels with a share; N // B elements per epoch.
    """
    num_examples = len(dataset.train_labels)
    steps = num_examples // batch_size
    class_probs = samplers.SAMPLERS[sampler](dataset.class_counts)
    read_images = dataset.reader("train", augment)
    labels = tf.constant(dataset.train_labels, tf.int64)
    own = share_of(batch_size, share)

    def epoch_indices(epoch, sampler):
        streams = ()
        if paired or sampler == "uniform":
            streams += (uniform_indices(num_examples, batch_size, seed=seed, epoch=epoch),)
        if paired or sampler != "uniform":
            streams += (resampled_indices(dataset.train_labels, class_probs, batch_size, seed=seed, epoch=epoch),)
        return tf.data.Dataset.zip(streams).take(steps).enumerate().map(lambda step, indices: (epoch, step, indices))

    def indices_of(first, last, sampler):
        return tf.data.Dataset.range(first, last).flat_map(lambda epoch: epoch_indices(epoch, sampler))

    def with_keys(epoch, step, indices):
        streams = range(CONVENTIONAL_AUGMENT, CONVENTIONAL_AUGMENT + len(indices))
        keys = tuple(tf.random.fold_in(_key(seed, epoch, stream), step) for stream in streams)
        return tuple(tf.ensure_shape(chosen, [batch_size]) for chosen in indices), keys

    def read(indices, keys):
        pairs = [(read_images(*drawn), tf.gather(labels, drawn[0])) for drawn in zip(indices, keys, strict=True)]
        return tuple(zip(*pairs, strict=True)) if paired else pairs[0]

    change = max(initial_epoch, deferred_epoch)
    batches = indices_of(change, epochs, sampler)
    if change > initial_epoch:
        batches = indices_of(initial_epoch, change, "uniform").concatenate(batches)
    batches = batches.map(with_keys)
    if dataset.one_by_one:  # all cores decode, one image at a time, so that few images are in memory
        batches = batches.flat_map(lambda indices, keys: _one_by_one(indices, keys, own))
    batches = batches.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if dataset.one_by_one:
        batches = batches.batch(own.stop - own.start, drop_remainder=True)
    elif share[1] > 1:
        batches = batches.map(lambda *pair: tf.nest.map_structure(lambda whole: whole[own], pair))
    return _on_one_host(batches.prefetch(tf.data.AUTOTUNE))


def interleaved(batches):
    """Turns ((x_c, x_r), (y_c, y_r)) into (x [2B, H, W, 3], y [2B]); images of both streams alternate."""

    def one_of_each(pair):
        stacked = tf.stack(pair, axis=1)  # [B, 2, ...]
        return tf.reshape(stacked, [-1, *stacked.shape[2:]])

    return _on_one_host(batches.map(lambda x, y: (one_of_each(x), one_of_each(y))))


def ordered_batches(dataset, part, batch_size):
    """Reads all images of one part in order; repeats the last image until the last batch is full.

    With a smaller last batch a replica may get no image, and TensorFlow's convolutions fail on empty input on CPUs.

    Args:
        dataset: `ImageDataset`.
        part: "train" or "eval".
        batch_size: B.

    Returns:
        Dataset of float32 [B, H, W, 3].
    """
    read = dataset.reader(part)
    count = len(dataset.part(part)[1])
    indices = tf.data.Dataset.range(-(-count // batch_size) * batch_size).map(lambda i: tf.minimum(i, count - 1))
    if dataset.one_by_one:
        batches = indices.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    else:
        batches = indices.batch(batch_size).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return _on_one_host(batches.prefetch(tf.data.AUTOTUNE))


def _one_by_one(indices, keys, own):
    """Splits the slice `own` of a batch into single images; every image of every stream gets its own key."""
    split = tuple(tf.random.split(key, chosen.shape[0])[own] for chosen, key in zip(indices, keys, strict=True))
    return tf.data.Dataset.from_tensor_slices((tuple(chosen[own] for chosen in indices), split))


def _key(seed, epoch, stream):
    """Key int64 [2] for one stream in one epoch; callers fold the step or the block into it."""
    return tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)]), stream)


def _on_one_host(batches):
    """Turns off sharding by file or element, because the replicas split each batch."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
