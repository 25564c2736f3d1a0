"""How a folder of images is laid out: one tree of class folders, or one for each part."""

import os
import re
import unicodedata

from bbn_tf.data import listing
from bbn_tf.errors import UserError

# training_set, Train, seg_test, test-images, valid ...
KINDS = {"train": "train|training", "test": "test|testing", "validation": "val|valid|validation|dev|eval|evaluation"}
AROUND = "set|data|dataset|images|imgs|seg|split"
NAMES = {
    kind: re.compile(rf"(?:(?:{AROUND})[ _-]?)?(?:{words})(?:[ _-]?(?:{AROUND}))?", re.IGNORECASE)
    for kind, words in KINDS.items()
}
WANTED = "must be a folder with a folder of images for every class, or with two such trees, train/ and test/"


def find_trees(root):
    """Finds the trees of class folders in a folder.

    Args:
        root: path.

    Returns:
        dict part -> path: "train" with "test", "validation" or both; or "all" -> `root` for one tree.

    Raises:
        UserError: no folder; parts are missing or named twice; or what looks like classes are parts.
    """
    if not os.path.isdir(root):
        reason = "is a file" if os.path.exists(root) else "does not exist"
        raise UserError(f"--data_dir={listing.shown(root)}: {reason}; {WANTED}")
    folders = [name for name in listing.entries(root)[0] if not listing.is_of_runs(os.path.join(root, name))]
    sides = _sides(root, folders)
    if len(sides) == 1 and _is_a_class(root, folders, *sides.values()):
        sides = {}
    if not sides:
        _refuse_parts_as_classes(root, folders)
        return {"all": os.fspath(root)}
    _refuse_missing_parts(root, sides)
    if beside := sorted(set(folders) - set(sides.values())):
        print(f"note: {listing.shown(root)}: {_folders(beside)} beside {_folders(sides.values())} left out")
    return {part: os.path.join(root, name) for part, name in sides.items()}


def class_folders(tree):
    """dict class name (NFC) -> list of its folders' paths (several if their names differ in NFC and NFD only).

    In the order of the names.

    Raises:
        UserError: there are none, or a name is no text.
    """
    folders, _ = listing.entries(tree)
    if not folders:
        raise UserError(
            f"--data_dir={listing.shown(tree)}: has no class folders; images must lie in a folder for each class"
        )
    classes = {}
    for name in folders:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"--data_dir={listing.shown(tree)}: the class folder {os.fsencode(name)!r} has no UTF-8 name"
            ) from error
        classes.setdefault(unicodedata.normalize("NFC", name), []).append(os.path.join(tree, name))
    return dict(sorted(classes.items()))


def images_beside(root, trees):
    """Paths of the image files that lie in no class: beside the class folders, or beside the parts.

    Args:
        root, trees: see `find_trees`.
    """
    places = dict.fromkeys([os.fspath(root), *trees.values()])
    return [
        os.path.join(place, name)
        for place in places
        for name in listing.entries(place)[1]
        if listing.is_image_name(name)
    ]


def _folders(names):
    return listing.named(f"{name}/" for name in names)


def _sides(root, folders):
    """dict part -> name of its folder, of those whose names say so.

    Raises:
        UserError: two are named for the same part.
    """
    found = {part: [name for name in folders if pattern.fullmatch(name)] for part, pattern in NAMES.items()}
    for part, names in found.items():
        if len(names) > 1:
            raise UserError(
                f"--data_dir={listing.shown(root)}: has {_folders(names)}, more than one folder that may be the {part} "
                "part; rename or move all but one"
            )
    return {part: names[0] for part, names in found.items() if names}


def _is_a_class(root, folders, side):
    """Whether the only folder that is named as a part is a class, for example of vehicles Train may be.

    It is if it holds images; or if others do and none of them is called as a folder in it.
    """
    inner, files = listing.entries(os.path.join(root, side))
    if any(map(listing.is_image_name, files)):
        return True
    others = set(folders) - {side}
    return bool(inner and others) and not others & set(inner) and any(_holds_images(root, name) for name in others)


def _holds_images(root, name):
    return any(map(listing.is_image_name, listing.entries(os.path.join(root, name))[1]))


def _refuse_missing_parts(root, sides):
    has = _folders(sides.values())
    if "train" not in sides:
        raise UserError(
            f"--data_dir={listing.shown(root)}: has {has} but no train/; add it, or name one tree of class folders, "
            "which is split"
        )
    if len(sides) == 1:
        raise UserError(
            f"--data_dir={listing.shown(root)}: has {has} but no test/; add it, or name one tree of class folders, "
            "which is split"
        )


def _refuse_parts_as_classes(root, folders):
    """Raises UserError if the folders hold no images but the same folders, two or more, each: parts by other names."""
    if len(folders) < 2:
        return
    found = [listing.entries(os.path.join(root, name)) for name in folders]
    same = set.intersection(*(set(inner) for inner, _ in found))
    if len(same) > 1 and not any(listing.is_image_name(name) for _, files in found for name in files):
        raise UserError(
            f"--data_dir={listing.shown(root)}: {_folders(folders)} hold no images but the same folders each "
            f"({_folders(sorted(same))}), so they are no classes; call the parts train/ and test/, or name one of them"
        )
