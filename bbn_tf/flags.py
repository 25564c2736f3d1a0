"""The absl flags made of the settings, and the settings of a command line or a finished run from them."""

import os
import typing

from absl import flags

from bbn_tf import flag_files
from bbn_tf.choices import CLASSIFIER, DATA, MOST_LISTED, SECOND_STAGE, START, as_text, listed
from bbn_tf.config import SETTINGS, Config
from bbn_tf.data.list_settings import PLACES
from bbn_tf.errors import UserError
from bbn_tf.modes.modes import MODES
from bbn_tf.runs.exported import read_export_facts
from bbn_tf.runs.folder import RunFolder

ANY_PLACE = (*PLACES, "evaluate_on")  # what of the data may differ between the stages

INPUTS = {name for name, setting in SETTINGS.items() if setting.path} - {"model_dir", "output"}  # paths that must exist


def define(flag_values=flags.FLAGS):
    """Declares one absl flag for every setting."""
    for name, setting in SETTINGS.items():
        options = {"help": _help(setting), "flag_values": flag_values}
        kind, default = setting.type, None if name in SETTINGS.owners else setting.default
        if 0 < len(setting.choices) <= MOST_LISTED and kind is str:
            flags.DEFINE_enum(name, default, setting.choices, **options)
        elif kind is bool:
            flags.DEFINE_bool(name, default, **options)
        elif kind is int:
            flags.DEFINE_integer(name, default, **options)
        elif kind is float:
            flags.DEFINE_float(name, default, **options)
        elif kind is str:
            flags.DEFINE_string(name, default, **options)
        else:
            flags.DEFINE_list(name, default and [str(part) for part in default], **options)


def _help(setting):
    """Its help. If only some choices have the setting, also which choices, and their defaults."""
    by_default = {}
    owners = SETTINGS.owners.get(setting.name, [])
    for (flag, choice), default in zip(owners, SETTINGS.defaults[setting.name][-len(owners) :], strict=False):
        by_default.setdefault((flag, as_text(default)), []).append(choice)
    of = [
        f"with --{flag}={listed(choices, '|')}" + ("" if text in ("None", "") else f": default {text}")
        for (flag, text), choices in by_default.items()
    ]
    names = f" Of {', '.join(setting.choices)}." if len(setting.choices) > MOST_LISTED else ""
    return setting.help + names + (f" ({'; '.join(of)})" if of else "")


def parse(arguments, settings_of=None):
    """`Config` of a command line's arguments, with flags of its own; see `from_flags`."""
    values = flags.FlagValues()
    define(values)
    try:
        rest = values(["main.py", *flag_files.expand(arguments, INPUTS)])[1:]
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from error
    if rest:
        raise UserError(f"{rest[0]}: not a flag")
    return from_flags(values, arguments, settings_of)


def from_flags(values, arguments=(), settings_of=None):
    """`Config` of parsed flags; in the modes that need a finished run, of that run's flags.txt.

    Args:
        values: absl's FLAGS.
        arguments: the command line, to tell what a person has given from what flag files have.
        settings_of: folder of the run that a second stage starts from -> its settings; by default flags.txt.

    Raises:
        UserError: see `Config`; or flags.txt can't be read.
    """
    given = {name: parsed(name, values[name].value) for name in SETTINGS if values[name].present}
    given, note = _without_replaced(given, arguments)
    config = _of_mode(given, given.get("mode", "train"), settings_of)
    if note:  # of settings that hold
        print(note)
    return config


def _of_mode(given, mode, settings_of):
    if mode == "probe":
        return _second_stage(given, settings_of)
    row = MODES[mode]
    if row.of_plan:
        _refuse(given, mode, "has no meaning with --mode={mode}, whose --plan has the settings")
    return _of_finished_run(given, mode) if row.of_run else Config(**given)


def _without_replaced(given, arguments):
    """`given` without what flag files have set for a choice that the command line replaces; a note of it, or None.

    So any method file composes with another --optimizer or --lr_schedule: SGD's learning rate is not AdamW's.
    """
    in_files = dict(line.lstrip("-").partition("=")[::2] for line in flag_files.lines(arguments, INPUTS))
    own = {argument.lstrip("-").partition("=")[0].removeprefix("no") for argument in arguments}
    own |= {argument.lstrip("-").partition("=")[0] for argument in arguments}
    left_out = {}  # name -> flag that chooses otherwise
    for name in given:
        owners = SETTINGS.owners.get(name, ())
        replaced = [(flag, choice) for flag, choice in owners if flag in own and flag in given]
        active = any(given.get(flag, SETTINGS[flag].default) == choice for flag, choice in owners)
        of_another = SETTINGS[name].rescaled and any(  # a file of no optimizer has SGD's rate; of no model, any sampler
            in_files.get(flag, given[flag] if SETTINGS[name].choices else SETTINGS[flag].default) != given[flag]
            for flag, _ in replaced
        )
        if name not in own and replaced and (of_another or not active):
            left_out[name] = replaced[0][0]
    note = None
    if left_out:
        texts = " ".join(f"--{name}={as_text(given[name])}" for name in left_out)
        chosen = ", ".join(f"--{flag}={given[flag]}" for flag in dict.fromkeys(left_out.values()))
        note = f"note: {texts} of the flag files left out, not made for {chosen}; give your own, or the defaults hold"
    return {name: value for name, value in given.items() if name not in left_out}, note


def _refuse(given, mode, rule):
    for name in given:
        if name in SETTINGS.owners and SETTINGS.owners[name][0][0] == "mode":
            if (("mode", mode)) not in SETTINGS.owners[name]:
                raise UserError(f"--{name}: {SETTINGS.no_meaning(name, {'mode': mode})}")
        elif SETTINGS[name].part != START and name not in (MODES[mode].overrides or ()):
            raise UserError(f"--{name}: {rule.format(mode=mode)}")


def of_finished_run(folder, **given):
    """`Config` of the evaluation of a finished run, of settings that are `given` too; see `from_flags`."""
    return _of_finished_run({"mode": "evaluate", "model_dir": str(folder), **given}, "evaluate")


def _of_finished_run(given, mode):
    if not given.get("model_dir"):
        raise UserError(f"--mode={mode}: needs --model_dir, the folder of a run")
    folder = given["model_dir"]
    exported = read_export_facts(folder) if mode == "predict" else None
    recorded = exported["settings"] if exported else RunFolder(folder).read_settings()
    _refuse(given, mode, "has no meaning with --mode={mode}, which takes it from the run")
    return Config.of_run(_recorded(recorded, f"{folder}/flags.txt"), given)


def as_trained(folder, texts=None):
    """`Config` of the settings that a run was trained with; needs no data.  `texts`: those of flags.txt, if read."""
    recorded = _recorded(RunFolder(folder).read_settings() if texts is None else texts, f"{folder}/flags.txt")
    return Config.of_run(recorded, {"mode": "export", "model_dir": str(folder)})


def _recorded(texts, where):
    """dict name -> value of a dict of texts in flags.txt."""
    unknown = sorted(set(texts) - set(SETTINGS))
    if unknown:
        raise UserError(f"{where}: damaged, unknown setting {unknown[0]!r}")
    try:
        values = {name: parsed(name, text) for name, text in texts.items()}
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    for name, value in values.items():
        if unknown := SETTINGS[name].unknown(value):
            raise UserError(f"{where}: --{name}={texts[name]}: {unknown}")
    return values


def _second_stage(given, settings_of):
    """`Config` of --mode=probe: the data and the seed of the run it starts from, unless they are given."""
    if not given.get("from_run"):
        raise UserError("--mode=probe: needs --from_run, the folder of a finished run")
    settings_of = settings_of or (lambda folder: RunFolder(folder, flag="from_run").read_settings())
    texts = settings_of(given["from_run"])
    recorded = _recorded(texts, f"{given['from_run']}/flags.txt")
    untrained = SETTINGS["classifier"].table[given.get("classifier", "retrain")]
    own = {setting.name for setting in untrained.settings}
    for name in given:
        part = SETTINGS[name].part
        if part not in (START, DATA, CLASSIFIER, SECOND_STAGE):
            raise UserError(f"--{name}: has no meaning with --mode=probe, which keeps what --from_run has learned")
        if part == CLASSIFIER and untrained.untrained and name not in own:
            raise UserError(f"--{name}: has no meaning with --classifier={given['classifier']}, which trains nothing")
    branch = given.get("branch")
    if branch and (recorded.get("model", "bbn") != "bbn" or recorded.get("mode") == "probe" and branch != "both"):
        raise UserError(f"--branch={branch}: only of a BBN; {given['from_run']} has one branch, so leave --branch out")
    dataset = given.get("dataset", recorded["dataset"])
    there = {name: value for name, value in recorded.items() if SETTINGS[name].part == DATA}
    there = {name: value for name, value in there.items() if not SETTINGS.is_of_another("dataset", dataset, name)}
    if "data_dir" in recorded and SETTINGS["dataset"].table[dataset].own_images:
        there["data_dir"] = recorded["data_dir"]
    config = Config(**{**there, **given})
    _check_same_data(config, as_trained(given["from_run"], texts))
    return config


def _check_same_data(config, first):
    """Refuses data on which a second stage's figures would mean something else than they seem to.

    Args:
        config: `Config` of the second stage.
        first: `Config` of the first.
    """
    of_data = [name for name, setting in SETTINGS.items() if setting.part == DATA and name not in ANY_PLACE]
    differ = [name for name in of_data if getattr(config, name) != getattr(first, name)]
    if config.row("classifier").untrained:
        rule = f"must be that of --from_run with --classifier={config.classifier}, which goes by its counts"
        _refuse_first(config, [name for name in differ if name != "seed"], rule)
    if "dataset" in differ:
        return
    if config.validation_fraction or first.validation_fraction:
        _refuse_first(config, differ, "must be that of --from_run, or what it was trained on would be held out")
    if config.train_list == first.train_list and os.path.abspath(config.data_dir or "") == first.data_dir:
        split = [name for name in differ if name in ("test_fraction", "split_seed")]
        _refuse_first(config, split, "has no effect: the images are divided as --from_run divided them")


def _refuse_first(config, names, rule):
    if names:
        raise UserError(f"--{names[0]}={as_text(getattr(config, names[0]))}: {rule}")


def parsed(name, value):
    """A flag's value, or its text in flags.txt, as the setting's type."""
    kind = SETTINGS[name].type
    several = typing.get_origin(kind) is tuple
    try:
        if several:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(typing.get_args(kind)[0](part) for part in parts if part != "")
        if isinstance(value, str) and kind is bool:
            return {"True": True, "False": False}[value]
        if SETTINGS[name].path and value is not None:
            return os.path.expanduser(value)
        return kind(value) if isinstance(value, str) else value
    except (ValueError, KeyError):
        shown = ",".join(value) if isinstance(value, list) else value
        wanted = "whole numbers separated by commas" if several else kind.__name__
        raise UserError(f"--{name}={shown}: must be {wanted}") from None
