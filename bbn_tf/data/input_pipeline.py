"""All of tf.data: index streams first, then one map that fetches, augments and pairs.

Every draw is stateless, seeded by (seed, epoch, step) and the stream's number below: a resumed run draws
what the uninterrupted one would have drawn, whatever the number of threads.
"""

import numpy as np
import tensorflow as tf

from bbn_tf.data import samplers

UNIFORM_STREAM, RESAMPLED_STREAM, CONVENTIONAL_AUGMENT, REBALANCING_AUGMENT = range(4)
BLOCK = 65_536  # candidates drawn at a time by the rejection: 2 ms of work


def uniform_indices(num_examples, batch_size, *, seed, epoch):
    """Every index once an epoch, in an order of that epoch's own; the last incomplete batch is dropped.

    Args:
        num_examples: N.
        batch_size: B.
        seed: int.
        epoch: int or scalar int64 tensor.

    Returns:
        Dataset of N // B elements int64 [B].
    """
    steps = num_examples // batch_size
    key = _key(seed, epoch, UNIFORM_STREAM)
    order = tf.random.experimental.stateless_shuffle(tf.range(num_examples, dtype=tf.int64), key)
    return tf.data.Dataset.from_tensor_slices(tf.reshape(order[: steps * batch_size], [steps, batch_size]))


def resampled_indices(labels, class_probs, batch_size, *, seed, epoch):
    """Indices whose classes follow `class_probs`, uniform within a class, with replacement (Eq. 4's step 2, 3).

    Rejection resampling in blocks: indices are drawn uniformly and kept with a chance that depends on the
    label alone, so nothing is read that is not kept.  The law is that of
    `tf.data.Dataset.rejection_resample`, which draws, and reads, one example at a time.

    Args:
        labels: int [N].
        class_probs: float [C].
        batch_size: B.
        seed, epoch: as above.

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
    """slice: the part of a batch of `size` that host `share[0]` of `share[1]` has; contiguous, in the hosts' order."""
    host, hosts = share
    return slice(size // hosts * host, size // hosts * (host + 1))


def training_batches(
    dataset, batch_size, *, sampler, paired, augment, seed, initial_epoch, epochs, deferred_epoch=0, share=(0, 1)
):
    """The batches of the epochs `initial_epoch` to `epochs` - 1, one after the other.

    Args:
        dataset: `ImageDataset`.
        batch_size: B, images a step in each stream.
        sampler: name of `samplers.SAMPLERS`: of the re-balancing stream if `paired`, else of the only one.
        paired: whether a uniform and a re-balancing stream are paired (BBN).
        augment: name of `augmentations.AUGMENTATIONS`.
        seed: of every draw.
        initial_epoch, epochs: ints.
        deferred_epoch: epoch from which on `sampler` acts; uniform before.
        share: (host, number of hosts K, which divides B): only this host's part of every batch is returned, as one
            host would have drawn it. Files of other parts are not read; of images in memory the whole batch is
            augmented first, since there a draw depends on the place in the batch.

    Returns:
        Dataset of ((x_c, x_r), (y_c, y_r)) if `paired`, else (x, y); x float32 [B, H, W, 3], y int64 [B] (with a
        share B/K of each); N // B elements an epoch.
    """
    num_examples = len(dataset.train_labels)
    steps = num_examples // batch_size
    class_probs = samplers.SAMPLERS[sampler](dataset.class_counts)
    read_images = dataset.reader("train", augment)
    labels = tf.constant(dataset.train_labels, tf.int64)
    own = share_of(batch_size, share)

    def epoch_indices(epoch, sampler):
        uniform = uniform_indices(num_examples, batch_size, seed=seed, epoch=epoch)
        resampled = resampled_indices(dataset.train_labels, class_probs, batch_size, seed=seed, epoch=epoch)
        if paired:
            streams = (uniform, resampled)
        else:
            streams = (uniform if sampler == "uniform" else resampled,)
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
    batches = indices_of(initial_epoch, change, "uniform").concatenate(indices_of(change, epochs, sampler))
    batches = batches.map(with_keys)
    if dataset.one_by_one:  # decoding is spread over the cores image by image, and no more are held than that takes
        batches = batches.flat_map(lambda indices, keys: _one_by_one(indices, keys, own))
    batches = batches.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if dataset.one_by_one:
        batches = batches.batch(own.stop - own.start, drop_remainder=True)
    elif share[1] > 1:
        batches = batches.map(lambda *pair: tf.nest.map_structure(lambda whole: whole[own], pair))
    return _on_one_host(batches.prefetch(tf.data.AUTOTUNE))


def interleaved(batches):
    """((x_c, x_r), (y_c, y_r)) -> (x [2B, H, W, 3], y [2B]): an image of each stream side by side."""

    def one_of_each(pair):
        stacked = tf.stack(pair, axis=1)  # [B, 2, ...]
        return tf.reshape(stacked, [-1, *stacked.shape[2:]])

    return _on_one_host(batches.map(lambda x, y: (one_of_each(x), one_of_each(y))))


def ordered_batches(dataset, part, batch_size):
    """All images of `part`, "train" or "eval", in order, the last of them repeated until the last batch is full too.

    Of a smaller batch a replica may get nothing, on which TensorFlow's convolutions fail on CPUs.

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
    """The slice `own` of a batch, its images as elements of their own, each stream's with a key of its own."""
    split = tuple(tf.random.split(key, chosen.shape[0])[own] for chosen, key in zip(indices, keys, strict=True))
    return tf.data.Dataset.from_tensor_slices((tuple(chosen[own] for chosen in indices), split))


def _key(seed, epoch, stream):
    """Key int64 [2] of one stream in one epoch; steps and blocks are folded into it."""
    return tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)]), stream)


def _on_one_host(batches):
    """Replicas split each batch; nothing is to be sharded by file or element."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
