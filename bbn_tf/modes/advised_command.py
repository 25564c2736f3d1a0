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


def text(config, dataset, damaged=0, lacking=keras_weights.lacking):
    """The command, what it is based on, and a line for each choice.

    What the user has given is kept.  If it does not go with what would fit, the command has it alone.

    Args:
        config: `Config` of --mode=describe.
        dataset: `ImageDataset`, without its damaged files.
        damaged: how many of these there are.
        lacking: see `keras_weights.lacking`.
    """
    given, capped = _at_most_one_batch(_given(config), len(dataset.train_labels))
    taken = _of_the_run_to_start_from(given)
    known = {**given, **{flag: value for flag, value, _ in taken}, **_model_meant(given)}
    seen = look(dataset, known)
    advised, notes = advise(seen), []
    if why := _lacking(advised, known, lacking):
        seen = look(dataset, known, imagenet=False)
        notes.append(_without_weights(why, needed=seen.fine_tuned))
        advised = advise(seen)
    if seen.unknown_network:
        notes.append("give --backbone, the network of that file: without it training takes that of the flag file")
    kept = _leave_out(damaged, given)
    advised = [*taken, *advised, *kept]
    if reason := _refusal(command(advised, given)):
        advised, notes = kept, [_kept_alone(reason, _refusal(command(kept, given)))]
    line = shlex.join([*flag_files.COMMAND.split(), *command(advised, given)])
    lines = [_line(flag, value, reason) for flag, value, reason in advised]
    return "\n".join([_title(seen), f"  {line}", *lines, *capped, *notes, ""])


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


def _at_most_one_batch(given, images):
    """(`given` with a batch of at most all images, list of a note about it)."""
    batch = given.get("global_batch_size", 0)
    if batch <= images:
        return given, []
    note = f"--global_batch_size={batch}: there are only {images} training images, so the command has that many"
    return {**given, "global_batch_size": images}, [note]


def _leave_out(damaged, given):
    """List of (flag, value, reason): what a training needs that is not to refuse the damaged files."""
    if not damaged or "skip_unreadable" in given:
        return []
    return [("skip_unreadable", True, f"training would refuse the damaged files ({damaged:,})")]


def _without_weights(why, needed):
    if needed:
        return f"what is given needs ImageNet's weights: {why}"
    return f"ImageNet's weights would suit these images better: {why}; then describe them again"


def _kept_alone(reason, reason_alone):
    if reason_alone:
        return f"training refuses what is given: {reason_alone}"
    return f"the settings that would fit do not go with those given, which are kept alone: {reason}"


def _of_the_run_to_start_from(given):
    """List of (flag, value, reason): the network of the run or the published file that --init_from names."""
    path = given.get("init_from", IMAGENET)
    for network, file in keras_weights.FILES.items():
        if os.path.basename(path) == os.path.basename(file) and "backbone" not in given:
            return [("backbone", network, "that of the file to start from")]
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    if not path.endswith(".npz") and os.path.isfile(os.path.join(folder, "flags.txt")):
        settings = RunFolder(folder, flag="init_from").read_settings()
        found = {name: flags.parsed(name, settings[name]) for name in NETWORK if name in settings}
        return [(name, value, "that of the run to start from") for name, value in found.items() if name not in given]
    return []


def _lacking(advised, given, lacking):
    """Why ImageNet's weights can't be had and what to do, None if they can or are not in the command.

    It is known of the networks that are advised only.
    """
    values = {flag: value for flag, value, _ in advised} | given
    downloads = values.get("init_from") == IMAGENET
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
