"""The command that fits a data set, with the reason of each choice: the end of --mode=describe."""

import contextlib
import io
import os
import shlex

from bbn_tf import flag_files, flags
from bbn_tf.choices import as_text
from bbn_tf.errors import UserError
from bbn_tf.models import keras_weights
from bbn_tf.modes.advice import Seen, advise
from bbn_tf.modes.modes import MODES
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training.fine_tuning import IMAGENET
from bbn_tf.training.methods import MODELS

NETWORK = ("backbone", "cut_layer", "image_size")  # of the run whose weights a training starts from


def text(config, dataset, lacking=keras_weights.lacking):
    """The command, what it is based on, and a line for each choice.

    What the user has given is kept.  If it does not go with what would fit, the command has it alone.

    Args:
        config: `Config` of --mode=describe.
        dataset: `ImageDataset`.
        lacking: see `keras_weights.lacking`.
    """
    given = _given(config)
    taken = _of_the_run_to_start_from(given)
    known = {**given, **{flag: value for flag, value, _ in taken}, **_model_meant(given)}
    seen = look(dataset, known)
    advised, notes = advise(seen), []
    if why := _lacking(advised, known, lacking):
        notes = [f"ImageNet's weights would suit these images better: {why}; then describe them again"]
        seen = look(dataset, known, imagenet=False)
        advised = advise(seen)
    advised = [*taken, *advised]
    arguments = command(advised, given)
    if reason := _refusal(arguments):
        advised, arguments = [], command([], given)
        notes = [f"the settings that would fit do not go with those given, which are kept alone: {reason}"]
    lines = [_line(flag, value, reason) for flag, value, reason in advised]
    return "\n".join([_title(seen), f"  {shlex.join(['python', 'main.py', *arguments])}", *lines, *notes, ""])


def look(dataset, given, imagenet=True):
    """`Seen` of an `ImageDataset`."""
    counts = dataset.class_counts
    return Seen(
        images=len(dataset.train_labels),
        classes=dataset.num_classes,
        largest=int(counts.max()),
        rarest=int(counts.min()),
        side=dataset.typical_side(),
        encoded=dataset.one_by_one,
        imagenet=imagenet,
        given=given,
    )


def command(advised, given):
    """List of arguments for main.py: flag files, what was given, what is advised."""
    files = [_flag(flag, value) for flag, value, _ in advised if flag == "flagfile"]
    others = [_flag(flag, value) for flag, value, _ in advised if flag != "flagfile"]
    return [*files, *(_flag(name, value) for name, value in given.items()), *others]


def _given(config):
    """dict name -> value: the settings that the user has chosen and a training has, too."""
    own = {setting.name for setting in MODES["describe"].settings} - {"data_dir"} | {"mode"}
    return {name: value for name, value in config.given.items() if name not in own}


def _model_meant(given):
    """{"model": "bbn"} if a setting was given that only BBN has."""
    only = {setting.name for setting in MODELS["bbn"].settings} - {setting.name for setting in MODELS["plain"].settings}
    return {"model": "bbn"} if only & set(given) and "model" not in given else {}


def _of_the_run_to_start_from(given):
    """List of (flag, value, reason): the network of the run that --init_from names, if it is one."""
    path = given.get("init_from", IMAGENET)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    if not path.endswith(".npz") and os.path.isfile(os.path.join(folder, "flags.txt")):
        settings = RunFolder(folder, flag="init_from").read_settings()
        found = {name: flags.parsed(name, settings[name]) for name in NETWORK if name in settings}
        return [(name, value, "that of the run to start from") for name, value in found.items() if name not in given]
    return []


def _lacking(advised, given, lacking):
    """Why the weights that are advised can't be had and what to do, None if they can or none are.

    Of a network that the user has chosen it is not known: --init_from says it.
    """
    values = {flag: value for flag, value, _ in advised} | given
    downloads = values.get("init_from") == IMAGENET and "init_from" not in given
    return lacking(values["backbone"]) if downloads and values["backbone"] in keras_weights.FILES else None


def _refusal(arguments):
    """Why main.py would refuse these arguments, None if it would not."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # notes of what of a flag file is left out
            flags.parse(arguments)
    except UserError as error:
        return str(error)
    return None


def _title(seen):
    images = f"{seen.images:,} training images of {seen.classes:,} classes, {seen.rarest:,} in the rarest"
    return f"a command that fits {images}, shorter side {seen.side} pixels:"


def _line(flag, value, reason):
    return f"  {_flag(flag, value)}: {reason}"


def _flag(name, value):
    if name == "flagfile":
        return flag_files.located(f"--flagfile=flags/{value}.flags", beside="")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={as_text(value)}"
