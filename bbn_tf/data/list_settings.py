"""The settings of data that lists name, and of TFDS's."""

from bbn_tf.choices import Setting

LISTS_OF_IMAGES = ("train_list", "eval_list", "validation_list")


def _two_numbers(value, values):
    return None if not value or (len(value) == 2 and min(value) >= 0) else "must be TRAIN,EVAL, two numbers of images"


def _columns(value, values):
    fits = not value or (len(value) in (2, 3) and all(value) and len(set(value)) == len(value))
    return None if fits else "must be the names of two or three columns: PATH,LABEL or PATH,LABEL,GROUP"


def _of_a_csv(value, values):
    lists = [values[name] for name in LISTS_OF_IMAGES if value and values[name]]
    only_json = lists and all(file.lower().endswith(".json") for file in lists)
    return f"has no meaning for JSON as --train_list={values['train_list']} is, only for CSV" if only_json else None


def _two_splits(value, values):
    return None if value is None or (len(value) == 2 and all(value)) else "must be TRAIN,EVAL, two splits of TFDS"


LISTS = (
    Setting(
        "train_list",
        None,
        "List of the images to train on: lines of a path and a label, CSV (.csv) or the published code's JSON (.json).",
        kind=str,
        path=True,
        needed="the list of the images",
    ),
    Setting(
        "eval_list", None, "List of the test set; without it a part of --train_list is held out.", kind=str, path=True
    ),
    Setting(
        "validation_list",
        None,
        "List of images to choose settings by, with --evaluate_on=validation.",
        kind=str,
        path=True,
    ),
    Setting("class_names", None, "File with the name of a class in each line, in order.", kind=str, path=True),
    Setting(
        "list_columns",
        (),
        "Columns of a CSV: PATH,LABEL[,GROUP]; images of a group stay on one side (path,label if not given).",
        kind=tuple[str, ...],
        rule=_columns,
        fits=_of_a_csv,
    ),
    Setting(
        "expect_images",
        (),
        "TRAIN,EVAL: numbers of images that the lists must have, so that a wrong list is noticed.",
        kind=tuple[int, ...],
        rule=_two_numbers,
    ),
    Setting("allow_overlap", False, "Let two lists have an image or a group in common; by default that is refused."),
)
LIST_FILES = tuple(setting.name for setting in LISTS if setting.path)
PLACES = ("data_dir", *LIST_FILES)  # what may move during a run, whose record has its images
TFDS = (
    Setting(
        "tfds_name",
        None,
        "Name in TFDS, NAME[/CONFIG][:VERSION], of images with one label.",
        kind=str,
        needed="NAME[/CONFIG][:VERSION] of TFDS",
    ),
    Setting(
        "tfds_splits",
        ("train", "test"),
        "TRAIN,EVAL: TFDS's splits, or parts of them as train[:80%].",
        kind=tuple[str, ...],
        rule=_two_splits,
    ),
)
