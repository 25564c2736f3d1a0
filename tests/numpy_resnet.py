"""Inference of torchvision's ResNets, from the definition and in float64, and random weights for it."""

import numpy as np

EPSILON = 1e-5
BLOCKS = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3), "resnext50_32x4d": (3, 4, 6, 3)}
GROUPS = {"resnext50_32x4d": 32}  # of the middle convolutions, which have 4 channels a group in the first stage


def random_state_dict(name, seed=0):
    """dict torchvision's name -> array, all random, BatchNorm's statistics too; float32 as PyTorch saves them."""
    rng, state = np.random.default_rng(seed), {}

    def add(convolution, norm, shape):
        state[f"{convolution}.weight"] = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        for kind, values in (
            ("weight", rng.uniform(0.5, 1.5, shape[0])),
            ("bias", rng.normal(0, 0.3, shape[0])),
            ("running_mean", rng.normal(0, 0.3, shape[0])),
            ("running_var", rng.uniform(0.5, 1.5, shape[0])),
        ):
            state[f"{norm}.{kind}"] = values

    add("conv1", "bn1", (64, 3, 7, 7))
    channels = 64
    for stage, blocks in enumerate(BLOCKS[name]):
        width = 64 * 2**stage
        for block in range(blocks):
            prefix = f"layer{stage + 1}.{block}"
            first = channels
            for number, (filters, size) in enumerate(_convolutions(name, width), start=1):
                inputs = channels // GROUPS.get(name, 1) if size == 3 else channels
                add(f"{prefix}.conv{number}", f"{prefix}.bn{number}", (filters, inputs, size, size))
                channels = filters
            if block == 0 and (first != channels or stage > 0):
                add(f"{prefix}.downsample.0", f"{prefix}.downsample.1", (channels, first, 1, 1))
    return {key: value.astype(np.float32) for key, value in state.items()}


def _convolutions(name, width):
    """(filters, size) of each convolution of a block; torchvision's `int(planes * (base_width / 64)) * groups`."""
    if "50" not in name:
        return (width, 3), (width, 3)
    inner = int(width * (4 / 64)) * GROUPS[name] if name in GROUPS else width
    return (inner, 1), (inner, 3), (4 * width, 1)


def features(state, images):
    """Pooled features float64 [B, D] of images [B, H, W, 3], by the names in `state`."""
    x = images.astype(np.float64).transpose(0, 3, 1, 2)
    x = np.maximum(_unit(x, state, "conv1", "bn1", stride=2), 0)
    x = _windows(x, 3, 2, padding=-np.inf).max(axis=(-2, -1))
    for stage in range(1, 5):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in state:
            x = _block(x, state, f"layer{stage}.{block}.", stride=2 if stage > 1 and block == 0 else 1)
            block += 1
    return x.mean(axis=(2, 3))


def _block(x, state, prefix, stride):
    strides = (1, stride, 1) if f"{prefix}conv3.weight" in state else (stride, 1)
    y = x
    for number, step in enumerate(strides, start=1):
        y = _unit(y, state, f"{prefix}conv{number}", f"{prefix}bn{number}", step)
        if number < len(strides):
            y = np.maximum(y, 0)
    if f"{prefix}downsample.0.weight" in state:
        x = _unit(x, state, f"{prefix}downsample.0", f"{prefix}downsample.1", stride)
    return np.maximum(x + y, 0)


def _unit(x, state, convolution, norm, stride):
    weight = state[f"{convolution}.weight"].astype(np.float64)  # [O, I / groups, k, k]
    windows = _windows(x, weight.shape[-1], stride)
    groups = x.shape[1] // weight.shape[1]  # each sees its own channels only
    outputs = [
        np.tensordot(part, kernels, axes=((1, 4, 5), (1, 2, 3)))
        for part, kernels in zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
    ]
    y = np.concatenate(outputs, -1).transpose(0, 3, 1, 2)
    gamma, beta, mean, variance = (
        state[f"{norm}.{kind}"].astype(np.float64)[:, None, None]
        for kind in ("weight", "bias", "running_mean", "running_var")
    )
    return gamma * (y - mean) / np.sqrt(variance + EPSILON) + beta


def _windows(x, size, stride, padding=0.0):
    """[B, C, H, W] -> [B, C, H', W', size, size], with (size - 1) / 2 pixels of padding on every side."""
    edge = (size - 1) // 2
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=padding)
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
