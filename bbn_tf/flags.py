"""The absl flags made of the settings, and a command line's or a finished run's settings from them."""

import dataclasses
import functools
import typing

from absl import flags

from bbn_tf.config import (
    CLASSIFIER_TRAINING,
    DEPENDENT,
    FINISHED_RUN_MODES,
    INHERITED,
    NOT_SETTINGS,
    OF_DATA,
    ONLY_IN,
    PLAN_MODES,
    UNTRAINED,
    Config,
)
from bbn_tf.errors import UserError
from bbn_tf.runs.folder import RunFolder, read_export_facts


@functools.cache
def _types():
    """dict field name -> (type, whether it may be None)."""
    types = {}
    for name, hint in typing.get_type_hints(Config).items():
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        optional = type(None) in typing.get_args(hint)
        types[name] = (options[0] if optional else hint, optional)
    return types


def define_flags(flag_values=flags.FLAGS):
    """Declares one absl flag for every field of `Config`."""
    types = _types()
    for field in dataclasses.fields(Config):
        name, default, choices = field.name, field.default, field.metadata["choices"]
        options = {"help": field.metadata["help"], "flag_values": flag_values}
        kind = types[name][0]
        if choices:
            flags.DEFINE_enum(name, default, choices, **options)
        elif kind is bool:
            flags.DEFINE_bool(name, default, **options)
        elif kind is int:
            flags.DEFINE_integer(name, default, **options)
        elif kind is float:
            flags.DEFINE_float(name, default, **options)
        elif kind is str:
            flags.DEFINE_string(name, default, **options)
        else:
            flags.DEFINE_list(name, [str(part) for part in default], **options)


def parse(arguments, settings_of=None):
    """`Config` of a command line's arguments, with flags of its own; see `from_flags`."""
    values = flags.FlagValues()
    define_flags(values)
    try:
        rest = values(["main.py", *arguments])[1:]
    except (flags.Error, UnicodeDecodeError) as error:  # the latter of a flag file
        raise UserError(" ".join(str(error).split())) from error
    if rest:
        raise UserError(f"{rest[0]}: not a flag")
    return from_flags(values, settings_of)


def check_plan(plan, to_run=True):
    """Parses the flags of every run of a `bbn_tf.runs.plan.Plan`, so that no mistake shows after hours.

    Args:
        plan: `bbn_tf.runs.plan.Plan`.
        to_run: whether its runs are to go on, or only to be read.

    Raises:
        UserError: see `Config`; names the row.
    """
    settings = {}
    for run in plan.runs():
        try:
            config = parse(run.command(), settings.get)
        except UserError as error:
            raise UserError(f"--plan={plan.path}: {run.row}, {run.column}: {error}") from error
        if config.mode not in ("train", "probe"):
            raise UserError(f"--plan={plan.path}: {run.row}, {run.column}: --mode={config.mode} is no run")
        settings[str(run.folder)] = config.settings()
        ignore = () if to_run else ("from_run",)  # a folder may have been moved since
        RunFolder(run.folder).check(config.settings(), overwrite=False, ignore=ignore)


def from_flags(values, settings_of=None):
    """`Config` of parsed flags; in the modes that need a finished run, of that run's flags.txt.

    Args:
        values: absl's FLAGS.
        settings_of: folder of the run that a second stage begins with -> its settings; by default flags.txt.

    Raises:
        UserError: see `Config`; or flags.txt can't be read.
    """
    given = {field.name: values[field.name] for field in dataclasses.fields(Config)}
    chosen = {name: _parse(name, flag.value) for name, flag in given.items()}
    for name, modes in ONLY_IN.items():
        if given[name].present and chosen["mode"] not in modes:
            raise UserError(f"--{name}: has no meaning with --mode={chosen['mode']}, only with {', '.join(modes)}")
    if chosen["mode"] == "probe":
        return _second_stage(given, chosen, settings_of)
    if chosen["mode"] in PLAN_MODES:
        for name, flag in given.items():
            if flag.present and name not in NOT_SETTINGS:
                raise UserError(f"--{name}: has no meaning with --mode={chosen['mode']}, whose --plan has the settings")
    if chosen["mode"] not in FINISHED_RUN_MODES:
        return Config(**chosen)
    if not chosen["model_dir"]:
        raise UserError(f"--mode={chosen['mode']}: needs --model_dir, the folder of a run")
    exported = read_export_facts(chosen["model_dir"]) if chosen["mode"] == "predict" else None
    recorded = exported["settings"] if exported else RunFolder(chosen["model_dir"]).read_settings()
    for name, flag in given.items():
        if flag.present and name not in NOT_SETTINGS:
            raise UserError(f"--{name}: has no meaning with --mode={chosen['mode']}, which takes it from the run")
    recorded.pop("mode", None)
    chosen = {name: value for name, value in chosen.items() if name in NOT_SETTINGS}
    if chosen["data_dir"] is not None:
        recorded = {name: text for name, text in recorded.items() if name != "data_dir"}
    unknown = set(recorded) - {field.name for field in dataclasses.fields(Config)}
    if unknown:
        raise UserError(f"{chosen['model_dir']}/flags.txt: damaged, unknown setting {sorted(unknown)[0]!r}")
    return Config(**{**chosen, **{name: _parse(name, text) for name, text in recorded.items()}})


def _second_stage(given, chosen, settings_of):
    """`Config` of --mode=probe: the data and the seed of the run it begins with, unless they are given."""
    if not chosen["from_run"]:
        raise UserError("--mode=probe: needs --from_run, the folder of a finished run")
    settings_of = settings_of or (lambda folder: RunFolder(folder, flag="from_run").read_settings())
    recorded = settings_of(chosen["from_run"])
    own = {*INHERITED, *NOT_SETTINGS, *CLASSIFIER_TRAINING, "from_run", "branch", "classifier", "tau"}
    for name, flag in given.items():
        if flag.present and name not in own:
            raise UserError(f"--{name}: has no meaning with --mode=probe, which keeps what --from_run has learned")
        if flag.present and name in CLASSIFIER_TRAINING - {"logit_adjustment"} and chosen["classifier"] in UNTRAINED:
            raise UserError(f"--{name}: has no meaning with --classifier={chosen['classifier']}, which trains nothing")
    if chosen["branch"] and recorded.get("model") != "bbn":
        raise UserError(f"--branch={chosen['branch']}: only of a BBN; {chosen['from_run']} has one branch")
    dataset = chosen["dataset"] if given["dataset"].present else recorded["dataset"]
    unknown = OF_DATA - set(DEPENDENT.get(("dataset", dataset), {}))
    there = {name: _parse(name, recorded[name]) for name in INHERITED if name in recorded and name not in unknown}
    config = Config(**{**chosen, **{name: value for name, value in there.items() if not given[name].present}})
    _check_same_data(config, there)
    return config


def _check_same_data(config, there):
    """Refuses data on which a second stage's figures would mean something else than they seem to.

    Args:
        config: `Config` of the second stage.
        there: dict of the settings that the first stage has of `INHERITED`.
    """
    differ = [name for name, value in there.items() if getattr(config, name) != value and name != "data_dir"]
    if config.classifier in UNTRAINED:
        rule = f"must be that of --from_run with --classifier={config.classifier}, which goes by its counts"
        for name in differ:
            config.require(name, name == "seed", rule)
    held_out = config.validation_fraction or there.get("validation_fraction")
    if held_out and "dataset" not in differ:
        for name in differ:
            config.require(name, False, "must be that of --from_run, or what it was trained on would be held out")


def _parse(name, value):
    """A flag's value, or its text in flags.txt, as the field's type."""
    kind, _ = _types()[name]
    try:
        if typing.get_origin(kind) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(typing.get_args(kind)[0](part) for part in parts if part != "")
        if isinstance(value, str) and kind is bool:
            return {"True": True, "False": False}[value]
        return kind(value) if isinstance(value, str) else value
    except (ValueError, KeyError):
        shown = ",".join(value) if isinstance(value, list) else value
        wanted = "whole numbers separated by commas" if typing.get_origin(kind) is tuple else kind.__name__
        raise UserError(f"--{name}={shown}: must be {wanted}") from None
