"""The augmentation policies by name, of images in memory and of encoded images of any size."""

from bbn_tf.choices import Choice, Setting, Table
from bbn_tf.data.datasets import DATASETS
from bbn_tf.errors import UserError

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
    row = DATASETS[values["dataset"]]
    if row.encoded == "by size":  # not known before the data are
        return None
    names = AUGMENTATIONS.having("encoded" if row.encoded else "arrays")
    return None if value in names else f"with --dataset={values['dataset']} one of {', '.join(names)}"


AUGMENT = Setting(
    "augment",
    "basic",
    "Random changes of training images: a crop and a flip, a policy, or none; image files also random_resized_crop.",
    table=AUGMENTATIONS,
    rule=_of_the_images,
)


def refuse_other(augment, data):
    """Raises UserError if a policy is not for the images of a data set.

    Args:
        augment: name of `AUGMENTATIONS`.
        data: `bbn_tf.data.image_dataset.ImageDataset`.
    """
    names = AUGMENTATIONS.having("encoded" if data.one_by_one else "arrays")
    if augment not in names:
        kind = "decoded when drawn" if data.one_by_one else "held in memory"
        raise UserError(f"--augment={augment}: these images are {kind}; must be one of {', '.join(names)}")
