"""Which settings fit a data set: a rule in numbers, for the command at the end of --mode=describe.

It says what to try first.  Its limits are round numbers and were not fitted to measurements.
"""

import dataclasses

from bbn_tf.models.backbones import BACKBONES
from bbn_tf.training.fine_tuning import IMAGENET

FEW, LARGE = 5_000, 200_000  # training images: below, too few to change a trunk; from there on, enough for a ResNet-50
SMALL = 64  # pixels: the largest side that CIFAR's networks are made for
SIDES = (32, 48, 64, 96, 128, 160, 192, 224)
EVEN = 1.5  # imbalance factor up to which classes count as even
STEPS = ("lr_milestones", "lr_factor")  # who gives one of them wants --lr_schedule=steps
STEPS_EPOCHS = 200  # --epochs that milestones are checked with if it is not given
# Flag files of BBN and of the plain network.
FINE_TUNED = {"bbn": "bbn_finetune", "plain": "finetune"}
FROM_NOTHING = {"bbn": "bbn", "plain": "logit_adjusted"}
LARGE_SET = {"bbn": "bbn_inaturalist", "plain": "ce_inaturalist"}


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is known of a data set.

    Attributes:
        images, classes: of the training part.
        largest, rarest: training images in the class with most and with fewest.
        side: pixels of the typical shorter side.
        encoded: whether images are cropped to --image_size; if not, they are seen as they are.
        imagenet: whether weights trained on ImageNet can be had.
        given: dict name -> value of the settings that the user has chosen.
    """

    images: int
    classes: int
    largest: int
    rarest: int
    side: int
    encoded: bool
    imagenet: bool
    given: dict = dataclasses.field(default_factory=dict)

    @property
    def factor(self):
        return self.largest / self.rarest

    @property
    def size(self):
        """Side of what the network sees, in pixels: the largest usual one that does not enlarge the images."""
        fitting = max((side for side in SIDES if side <= self.side), default=SIDES[0])
        return self.given.get("image_size") or (fitting if self.encoded else self.side)

    @property
    def model(self):
        return self.given.get("model") or ("plain" if self.factor <= EVEN else "bbn")

    @property
    def fine_tuned(self):
        """Whether the network starts from weights."""
        if "init_from" in self.given:
            return True
        chosen = self.given.get("backbone")
        suitable = BACKBONES[chosen].published if chosen in BACKBONES else self.size > SMALL and self.images < LARGE
        return bool(self.imagenet and suitable)


def advise(seen):
    """List of (flag, value, reason in a few words), without what the user has chosen; `flagfile` comes first.

    Args:
        seen: `Seen`.
    """
    if seen.fine_tuned:
        advised = _fine_tuned(seen)
    elif seen.size > SMALL and seen.images >= LARGE:
        advised = _large_photos(seen)
    elif seen.size > SMALL and seen.images >= FEW:
        advised = _photos(seen)
    else:
        advised = _small(seen)
    return [(flag, value, reason) for flag, value, reason in advised if flag not in seen.given]


def _fine_tuned(seen):
    few = seen.images < FEW
    yield "flagfile", FINE_TUNED[seen.model], _method(seen)
    if few:
        yield "backbone", "keras:MobileNetV3Small", f"{seen.images:,} images are enough for a small network only"
    else:
        yield "backbone", "keras:EfficientNetV2B0", f"a network of medium size, for {seen.images:,} images"
    yield "init_from", IMAGENET, f"{seen.images:,} images are too few to train a network for photos from nothing"
    yield from _image_size(seen, seen.size)
    if few and "trunk_lr_factor" not in seen.given:
        yield "freeze", "trunk", f"{seen.images:,} images are too few to change the trunk; it also costs less"
    elif seen.given.get("freeze", "none") == "none":
        yield "freeze", "none", f"{seen.images:,} images can change the trunk, too"
        yield "trunk_lr_factor", 0.1, "but slowly, as it knows photos already"
    yield from _course(seen, batch=32, epochs=30 if few else 15, cosine="falls smoothly to 0")


def _large_photos(seen):
    yield "flagfile", LARGE_SET[seen.model], f"{_method(seen)}; the paper's settings for iNaturalist"
    yield "backbone", "resnet50", f"{seen.images:,} images are enough to train it from nothing"
    yield from _image_size(seen, seen.size)
    yield from _course(seen, batch=128, epochs=90)


def _photos(seen):
    yield "flagfile", FROM_NOTHING[seen.model], _method(seen)
    yield "backbone", "resnet18", f"without weights to start from, {seen.images:,} images are too few for a larger one"
    yield from _image_size(seen, min(seen.size, 128), "a third of the cost of 224")
    yield "learning_rate", 0.05, "as for iNaturalist, whose batches are as large"
    yield from _course(seen, batch=128, epochs=90, cosine="falls smoothly to 0")


def _small(seen):
    """Small images, or photos made small: what CIFAR's networks are made for."""
    few, without = seen.images < FEW, seen.side > SMALL and not seen.imagenet
    yield "flagfile", FROM_NOTHING[seen.model], _method(seen)
    why = f"a small network, since {seen.images:,} images are few" if few else "the paper's network for small images"
    yield "backbone", "resnet14" if few else "resnet32", f"{why}{', and no weights to start from' if without else ''}"
    yield from _image_size(seen, min(seen.size, SMALL), "what this network is made for")
    if few:
        yield "learning_rate", 0.05, "for small batches"
        yield from _course(seen, batch=32, epochs=40, cosine="falls smoothly to 0")
    elif seen.images < LARGE:
        yield from _course(seen, batch=128, epochs=200)
    else:
        yield from _course(seen, batch=128, epochs=90, cosine="falls smoothly to 0")


def _method(seen):
    if seen.model == "bbn":
        return f"BBN: {seen.largest:,} to {seen.rarest:,} images a class, imbalance factor {seen.factor:.4g}"
    if "model" in seen.given:
        return "the plain network, as given"
    return f"one branch: classes are nearly even (imbalance factor {seen.factor:.3g}), BBN would cost twice as much"


def _image_size(seen, size, why=None):
    if seen.encoded:
        usual = "the usual side" if size == SIDES[-1] else f"the images' shorter side is {seen.side} pixels"
        yield "image_size", size, why if size < seen.size else usual


def _course(seen, *, batch, epochs, cosine=None):
    """Batch size, epochs, schedule and warm-up.

    Args:
        seen: `Seen`.
        batch: images a step, fewer where an epoch would have fewer than 8 steps.
        epochs: how many, unless the user has chosen.
        cosine: why the learning rate falls as a cosine; None for the flag file's steps, if it is for these epochs.
    """
    while batch > 4 and 8 * batch > seen.images:
        batch //= 2
    batch = seen.given.get("global_batch_size", min(batch, seen.images))
    in_steps = any(name in seen.given for name in STEPS)
    chosen = seen.given.get("epochs", STEPS_EPOCHS if in_steps else epochs)
    steps = seen.images // batch
    yield "global_batch_size", batch, f"{steps:,} steps an epoch"
    yield "epochs", chosen, f"{chosen * steps:,} steps"
    if in_steps:
        yield "lr_schedule", "steps", "for the milestones or the factor given"
    elif cosine or chosen != epochs:
        yield "lr_schedule", "cosine", cosine or f"the flag file's milestones are for {epochs} epochs"
    if cosine or chosen != epochs:
        yield "warmup_epochs", min(5, chosen // 10), "a tenth of the epochs, at most 5"
