"""Writes a folder of generated JPEG photos with a long tail: a stand-in for your own, for docs/photos.md.

    python docs/make_photos.py photos [SEED]

Six classes, each a shape: 200 photos of the first down to 6 of the last, 320 x 240 pixels, with a coloured and noisy
background, different sizes, places and light.  Every third photo is stored lying on its side with an EXIF tag that says
so, as phones do.  The same seed (0 if not given) gives the same files.
"""

import math
import pathlib
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

COUNTS = {"circle": 200, "square": 100, "triangle": 50, "star": 25, "ring": 12, "cross": 6}
SIZE = (320, 240)  # width and height in pixels
ORIENTATION = 0x0112  # the EXIF tag
TURNED = 6  # its value where the camera was held upright and the sensor lay on its side


def corners(name, radius):
    """List of (x, y) around (0, 0) of a shape with straight sides."""
    if name == "star":
        radii = [radius, radius / 2.5] * 5
    elif name == "cross":
        arm = radius / 3
        x = [-arm, arm, arm, radius, radius, arm, arm, -arm, -arm, -radius, -radius, -arm]
        return list(zip(x, [x[(i + 3) % 12] for i in range(12)], strict=True))
    else:
        radii = [radius] * {"triangle": 3, "square": 4}[name]
    angles = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return [(r * math.sin(angle), -r * math.cos(angle)) for r, angle in zip(radii, angles, strict=True)]


def draw_shape(draw, name, centre, radius, colour, turn):
    box = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius]
    if name == "circle":
        draw.ellipse(box, fill=colour)
    elif name == "ring":
        draw.ellipse(box, outline=colour, width=max(4, radius // 3))
    else:
        cos, sin = math.cos(turn), math.sin(turn)
        turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in corners(name, radius)]
        draw.polygon([(centre[0] + x, centre[1] + y) for x, y in turned], fill=colour)


def photo(name, rng):
    """A Pillow image of one shape."""
    width, height = SIZE
    light = rng.uniform(0.5, 1.0)
    background = rng.integers(0, 160, 3) * light
    slope = np.linspace(0, rng.uniform(-60, 60), width)[None, :, None]
    pixels = np.clip(background + slope + rng.normal(0, 15, (height, width, 3)), 0, 255)
    image = Image.fromarray(pixels.astype(np.uint8))
    radius = int(rng.integers(40, 80))
    centre = (width // 2 + int(rng.integers(-40, 40)), height // 2 + int(rng.integers(-30, 30)))
    colour = tuple(int(value) for value in rng.integers(140, 256, 3) * light)
    draw_shape(ImageDraw.Draw(image), name, centre, radius, colour, rng.uniform(0, 2 * math.pi))
    return image.filter(ImageFilter.GaussianBlur(1))


def write(folder, seed):
    rng = np.random.default_rng(seed)
    for name, count in COUNTS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image, exif = photo(name, rng), Image.Exif()
            if number % 3 == 0:
                image, exif[ORIENTATION] = image.rotate(90, expand=True), TURNED
            image.save(folder / name / f"IMG_{number:04}.jpg", quality=90, exif=exif)
    print(f"{folder}: {sum(COUNTS.values())} photos of {len(COUNTS)} classes")


if __name__ == "__main__":
    folder, seed = (*sys.argv[1:], "0")[:2] if 2 <= len(sys.argv) <= 3 else ("", "0")
    if not folder or not seed.isdigit() or pathlib.Path(folder).exists():
        sys.exit("usage: python docs/make_photos.py FOLDER [SEED]; FOLDER must not exist yet")
    write(pathlib.Path(folder), int(seed))
