"""Small data sets of image files for the tests."""

import io

import numpy as np
from PIL import Image, ImageOps

COLOURS = {"ant": (200, 40, 40), "bee": (40, 200, 40), "cat": (40, 40, 200)}
FORMATS = ("jpg", "png", "webp")


def write_tree(root, counts, sizes=(24, 40), seed=0):
    """Writes counts[class] images, noise around the class's colour, of sides drawn between `sizes`, in all formats."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            height, width = rng.integers(*sizes, 2)
            pixels = rng.normal(0, 30, (height, width, 3)) + COLOURS[name]
            image = Image.fromarray(np.uint8(np.clip(pixels, 0, 255)))
            image.save(root / name / f"{number:02}.{FORMATS[number % 3]}", quality=95)


def write_two_trees(root):
    write_tree(root / "train", {"ant": 24, "bee": 9, "cat": 3})
    write_tree(root / "test", {"ant": 4, "bee": 4, "cat": 4}, seed=1)
    return root


def encoded(pixels, kind, held=None, order=">", **options):
    """Content of an image file, bytes.

    Args:
        pixels: uint8 [H, W, 3], or a Pillow image.
        kind: format, a name of Pillow's.
        held: EXIF orientation, None for no EXIF.
        order: of EXIF's bytes, ">" or "<".
        **options: of Pillow's `save`.
    """
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if held is not None:
        exif = Image.Exif()
        exif.endian = order
        exif[0x010F], exif[0x0112], exif[0x0131] = "Maker of Cameras", held, "software"
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pillows(content):
    """int [H, W, 3], the reference: what Pillow reads, turned by EXIF."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
