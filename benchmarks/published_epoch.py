"""A training with the authors' PyTorch code, as their main/train.py does it; epoch.py calls it."""

import importlib.util
import logging
import os
import sys
import time


def train(clone, epochs, epochs_of_a_run, shrink):
    """Trains BBN-ResNet-32 on random images, and evaluates after every second epoch.

    Args:
        clone: folder of the authors' code.
        epochs: how many to train.
        epochs_of_a_run: how many the schedule of alpha has.
        shrink: divides the number of images.

    Returns:
        (steps of an epoch, `time.perf_counter()` before the first one, list of epochs' seconds, list of the seconds
        that their steps took).
    """
    sys.path[:0] = [os.path.join(clone, part) for part in ("main", "lib")]
    import torch
    from core.combiner import Combiner
    from core.function import train_model, valid_model
    from loss import CrossEntropy
    from utils.utils import get_category_list, get_model, get_optimizer, get_scheduler

    cfg = _settings(clone)
    train_set, valid_set = _data(clone, cfg, shrink)
    logger = logging.getLogger("published")
    device = torch.device("cpu" if cfg.CPU_MODE else "cuda")
    num_class_list, _ = get_category_list(train_set.get_annotations(), 10, cfg)
    facts = {"num_classes": 10, "num_class_list": num_class_list, "cfg": cfg, "device": device}
    criterion = CrossEntropy(para_dict=facts)
    model = get_model(cfg, 10, device, logger)
    combiner, optimizer = Combiner(cfg, device), get_optimizer(cfg, model)
    scheduler = get_scheduler(cfg, optimizer)
    train_batches = _loader(train_set, cfg.TRAIN, cfg, training=True)
    valid_batches = _loader(valid_set, cfg.TEST, cfg, training=False)
    lasted, stepping = [], []
    begin = time.perf_counter()
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        scheduler.step()
        train_model(train_batches, model, epoch, epochs_of_a_run, optimizer, combiner, criterion, cfg, logger)
        stepping.append(time.perf_counter() - started)
        if epoch % 2 == 0:
            valid_model(valid_batches, epoch, model, cfg, criterion, logger, device)
        lasted.append(time.perf_counter() - started)
    return len(train_batches), begin, lasted, stepping


def _settings(clone):
    import torch
    from config import cfg

    cores = len(os.sched_getaffinity(0))
    cfg.merge_from_file(os.path.join(clone, "configs", "cifar10.yaml"))
    cfg.merge_from_list(["CPU_MODE", not torch.cuda.is_available()])
    cfg.merge_from_list(["TRAIN.NUM_WORKERS", min(16, cores), "TEST.NUM_WORKERS", min(8, cores)])
    torch.backends.cudnn.benchmark = True
    return cfg


def _data(clone, cfg, shrink):
    """The authors' long-tailed data sets, to train on and to evaluate on, of random pixels."""
    import numpy as np
    import torchvision

    rng = np.random.default_rng(0)

    class RandomCifar(torchvision.datasets.VisionDataset):  # in place of CIFAR-10, which it would download
        def __init__(self, root, train, transform, target_transform, download):
            super().__init__(root, transform=transform, target_transform=target_transform)
            count = (50_000 if train else 10_000) // shrink
            self.data = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
            self.targets = (np.arange(count) % 10).tolist()

        def __len__(self):
            return len(self.data)

    torchvision.datasets.CIFAR10 = RandomCifar
    file = os.path.join(clone, "lib/dataset/imbalance_cifar.py")
    spec = importlib.util.spec_from_file_location("imbalance_cifar", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(module.IMBALANCECIFAR10(mode, cfg) for mode in ("train", "valid"))


def _loader(part, sizes, cfg, training):
    import torch

    return torch.utils.data.DataLoader(
        part,
        batch_size=sizes.BATCH_SIZE,
        shuffle=training,
        num_workers=sizes.NUM_WORKERS,
        pin_memory=cfg.PIN_MEMORY,
        drop_last=training,
    )
