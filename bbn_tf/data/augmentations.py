"""The augmentation policies by name, of images in memory and of encoded images of any size."""

from bbn_tf.choices import Choice, Setting, Table
from bbn_tf.data.datasets import DATASETS

ARRAYS, CROPS = "bbn_tf.data.augment:", "bbn_tf.data.crops:"
# Traits: `arrays`, the function of images in memory; `encoded`, the one that chooses an encoded image's crop.
AUGMENTATIONS = Table(
    "augment",
    basic=Choice(arrays=f"{ARRAYS}crop_and_flip", encoded=f"{CROPS}random"),
    none=Choice(arrays=f"{ARRAYS}none", encoded=f"{CROPS}central"),
    autoaugment_cutout=Choice(arrays=f"{ARRAYS}autoaugment_cutout"),
    randaugment=Choice(arrays=f"{ARRAYS}randaugment"),
    random_resized_crop=Choice(encoded=f"{CROPS}random_resized"),
)


def _of_the_images(value, values):
    names = AUGMENTATIONS.having("encoded" if DATASETS[values["dataset"]].encoded else "arrays")
    return None if value in names else f"with --dataset={values['dataset']} one of {', '.join(names)}"


AUGMENT = Setting(
    "augment",
    "basic",
    "Random changes of training images: a crop and a flip, a policy, or none; image files also random_resized_crop.",
    table=AUGMENTATIONS,
    rule=_of_the_images,
)
