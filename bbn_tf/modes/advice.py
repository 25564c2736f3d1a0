"""Which settings fit a data set: a rule in numbers, for the command at the end of --mode=describe.

It says what to try first.  Its limits are round numbers and were not fitted to measurements.
"""

import dataclasses

from bbn_tf.models.backbones import BACKBONES
from bbn_tf.training.fine_tuning import FREEZE, IMAGENET

FEW, LARGE = 5_000, 200_000  # training images: below, too few to change a trunk; from there on, enough for a ResNet-50
SMALL = 64  # pixels: the largest side that CIFAR's networks are made for
SIDES = (32, 48, 64, 96, 128, 160, 192, 224)
EVEN = 1.5  # imbalance factor up to which classes count as even
STEPS = ("lr_milestones", "lr_factor")  # a user who gives one of them wants --lr_schedule=steps
# Flag files of BBN and of the plain network.
FINE_TUNED = {"bbn": "bbn_finetune", "plain": "finetune"}
FROM_RANDOM = {"bbn": "bbn", "plain": "logit_adjusted"}
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
    def network(self):
        """The row of the backbone that the user has chosen, None without."""
        return BACKBONES.get(self.given.get("backbone"))

    @property
    def fitting(self):
        """The largest usual side that does not enlarge the images, in pixels."""
        return max((side for side in SIDES if side <= self.side), default=SIDES[0]) if self.encoded else self.side

    @property
    def size(self):
        """Side of what the network sees, in pixels."""
        small = self.encoded and self.network and self.network.for_small_images
        return self.given.get("image_size") or (min(self.fitting, SMALL) if small else self.fitting)

    @property
    def smallest(self):
        """The smallest side that the network takes, in pixels."""
        return self.network.arguments.get("smallest_side", 1) if self.network else 1

    @property
    def model(self):
        return self.given.get("model") or ("plain" if self.factor <= EVEN else "bbn")

    @property
    def frozen(self):
        """Whether the user wants a frozen trunk."""
        return bool(FREEZE[self.given.get("freeze", "none")].frozen)

    @property
    def fine_tuned(self):
        """Whether the network starts from weights."""
        if "init_from" in self.given:
            return True
        may = self.network is None or bool(self.network.published)
        if self.frozen:  # random weights would stay so
            return may
        suitable = may if self.network else self.size > SMALL and self.images < LARGE
        return self.imagenet and suitable

    @property
    def unknown_network(self):
        """Whether it starts from weights of a file that doesn't say of which network."""
        return self.given.get("init_from", IMAGENET) != IMAGENET and "backbone" not in self.given


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
    advised = [*advised, *_loss(seen)]
    return [(flag, value, reason) for flag, value, reason in advised if flag not in seen.given]


def _fine_tuned(seen):
    few = seen.images < FEW
    other = "; flags/finetune.flags may have fewer errors, see docs/results.md" if seen.model == "bbn" else ""
    yield "flagfile", FINE_TUNED[seen.model], _method(seen) + other
    if few and not seen.unknown_network:
        yield "backbone", "keras:MobileNetV3Small", f"{seen.images:,} images are enough for a small network only"
    elif not seen.unknown_network:
        yield "backbone", "keras:EfficientNetV2B0", f"a network of medium size, for {seen.images:,} images"
    why = f"{seen.images:,} images are too few to train a network for photos from random weights"
    yield "init_from", IMAGENET, "a frozen trunk needs weights" if seen.frozen else why
    yield from _image_size(seen, seen.size)
    if few and "trunk_lr_factor" not in seen.given:
        yield "freeze", "trunk", f"{seen.images:,} images are too few to change the trunk; it also costs less"
    elif not seen.frozen:
        yield "freeze", "none", f"{seen.images:,} images can change the trunk, too"
    if seen.given.get("optimizer") == "sgd":  # the flag file's rate is AdamW's, and SGD's default is for random weights
        yield "learning_rate", 0.01, "a tenth of SGD's default, as the weights are trained already"
    yield from _course(seen, batch=32, epochs=30 if few else 15, cosine="falls smoothly to 0")


def _large_photos(seen):
    yield "flagfile", LARGE_SET[seen.model], f"{_method(seen)}; the paper's settings for iNaturalist"
    yield "backbone", "resnet50", f"{seen.images:,} images are enough to train it from random weights"
    yield from _image_size(seen, seen.size)
    yield from _course(seen, batch=128, epochs=90)


def _photos(seen):
    yield "flagfile", FROM_RANDOM[seen.model], _method(seen)
    yield "backbone", "resnet18", f"without weights to start from, {seen.images:,} images are too few for a larger one"
    share = (128 / seen.size) ** 2
    yield from _image_size(seen, min(seen.size, 128), f"{100 * share:.0f} % of the cost of {seen.size}")
    yield from _sgd_rate(seen, "as for iNaturalist, whose batches are as large")
    yield from _course(seen, batch=128, epochs=90, cosine="falls smoothly to 0")


def _small(seen):
    """Small images, or photos made small: what CIFAR's networks are made for."""
    few, without = seen.images < FEW, seen.side > SMALL and not seen.imagenet
    yield "flagfile", FROM_RANDOM[seen.model], _method(seen)
    why = f"a small network, since {seen.images:,} images are few" if few else "the paper's network for small images"
    yield "backbone", "resnet14" if few else "resnet32", f"{why}{', and no weights to start from' if without else ''}"
    yield from _image_size(seen, seen.size if seen.network else min(seen.size, SMALL))
    if few:
        yield from _sgd_rate(seen, "for small batches")
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


def _loss(seen):
    if seen.model == "plain" and seen.given.get("sampler", "uniform") != "uniform":
        yield "loss", "ce", f"--sampler={seen.given['sampler']} favours rare classes already"


def _image_size(seen, size, why="what this network is made for"):
    if not seen.encoded:
        return
    if size < seen.smallest:
        yield "image_size", seen.smallest, "the smallest side that this network takes"
    else:
        usual = "the usual side" if size == SIDES[-1] else f"the images' shorter side is {seen.side} pixels"
        yield "image_size", size, why if size < seen.fitting else usual


def _sgd_rate(seen, why):
    """A learning rate for SGD, which the flag files are made for; of another optimizer the default holds."""
    if seen.given.get("optimizer", "sgd") == "sgd":
        yield "learning_rate", 0.05, why


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
    chosen = seen.given.get("epochs") or _epochs_of(seen.given.get("lr_milestones"), epochs)
    steps = seen.images // batch
    yield "global_batch_size", batch, f"{steps:,} steps an epoch"
    yield "epochs", chosen, f"{chosen * steps:,} steps"
    if cosine or chosen != epochs:
        yield from _schedule(seen, chosen, cosine or f"the flag file's milestones are for {epochs} epochs")
        yield "warmup_epochs", min(5, chosen // 10), "a tenth of the epochs, at most 5"
    elif _in_steps(seen):
        yield "lr_schedule", "steps", "for the milestones or the factor given"


def _schedule(seen, epochs, why):
    """How the learning rate falls: as a cosine, or if the user wants steps, at 60 and 80 % as the paper's."""
    if _in_steps(seen):
        milestones = tuple(sorted({at for at in (epochs * 3 // 5, epochs * 4 // 5) if at}))
        yield "lr_schedule", "steps", "for the milestones or the factor given"
        yield "lr_milestones", milestones, f"60 and 80 % of {epochs} epochs, as in the paper"
    else:
        yield "lr_schedule", "cosine", why


def _in_steps(seen):
    return seen.given.get("lr_schedule") == "steps" or any(name in seen.given for name in STEPS)


def _epochs_of(milestones, epochs):
    """`epochs`, or more if they don't reach behind the last milestone: then it is at 80 % of them."""
    last = milestones[-1] if milestones else 0
    return epochs if last < epochs else -(-last * 5 // 4)
