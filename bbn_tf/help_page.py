"""The page that --help shows: all settings under headings, and below each choice the settings that only it has."""

import textwrap

from bbn_tf.choices import CLASSIFIER, DATA, REPRESENTATION, START, as_text, listed
from bbn_tf.flag_files import COMMAND

WIDTH, STEP = 80, 4  # of the page, and by how much what belongs to another setting is set in; characters
MOST_MODES = 3  # a setting of more modes stands among those of the run, one of fewer at each mode
HEADINGS = {DATA: "Data", REPRESENTATION: "Model", CLASSIFIER: "Training", START: "Run"}
USAGE = f"""\
Trains and evaluates BBN and its baselines on long-tailed images.

  {COMMAND} --flagfile=flags/cifar10_lt.flags --flagfile=flags/bbn.flags --seed=1

Files of data and of methods compose; of a flag that is given twice the last one
holds. A setting that stands further to the right belongs to the choices that it
names. --helpfull shows absl's own flags as well."""


def page(settings):
    """The whole page as text.

    Args:
        settings: `bbn_tf.settings.Settings`.
    """
    modes = settings["mode"].table
    sections = {heading: [] for heading in HEADINGS}
    for setting in settings.core:
        own = {} if setting.table is modes else own_settings(setting.table)
        sections[setting.heading or setting.part] += entry(setting, own)
    of_modes = own_settings(modes)
    shared = {name: found for name, found in of_modes.items() if len(found[1]) > MOST_MODES}
    sections[START] += nested(shared, 0)
    parts = [USAGE, *("\n".join([f"{title}:", *sections[part]]) for part, title in HEADINGS.items())]
    for mode, row in modes.items():
        own = {own.name: (own, {}) for own in row.settings if own.name not in shared}
        lines = [line for setting, _ in own.values() for line in entry(setting, own_settings(setting.table))]
        if lines:
            parts.append("\n".join([*_wrapped(f"--mode={mode}: {row.does}", 0), *lines]))
    return "\n\n".join(parts)


def own_settings(table):
    """dict name -> (`Setting`, dict choice -> default) of what only some choices of a table (or None) have."""
    found = {}
    for choice, row in (table or {}).items():
        for own in row.settings:
            found.setdefault(own.name, (own, {}))[1][choice] = own.default
    return found


def entry(setting, own, defaults=None, depth=0):
    """List of lines: the flag with its default, its help, its choices, and the settings that only some of them have.

    Args:
        setting: `Setting`.
        own: of its choices, see `own_settings`.
        defaults: dict choice that owns the setting -> its default there; None for a setting without an owner.
        depth: how many settings it is below.
    """
    name = f"--[no]{setting.name}" if setting.type is bool else f"--{setting.name}"
    about = _default(setting.default) if defaults is None else _owners(defaults)
    margin = 2 + STEP * depth
    header = f"{' ' * margin}{name} ({about})" if about else f"{' ' * margin}{name}"
    fits = len(header) <= WIDTH
    lines = [header if fits else f"{' ' * margin}{name}", *_wrapped(setting.help, margin + STEP)]
    said = [f"{choice}: {row.does}" for choice, row in (setting.table or {}).items() if row.does]
    if setting.choices and not said:
        said = [f"Choices: {_spelled(setting.choices)}"]
    for text in [*said, *([] if fits else [about[0].upper() + about[1:]])]:
        lines += _wrapped(text, margin + STEP, margin + 2 * STEP)
    return lines + nested(own, depth + 1)


def nested(own, depth):
    """List of lines: entries of `own_settings`."""
    entries = [entry(s, own_settings(s.table), defaults, depth) for s, defaults in own.values()]
    return [line for lines in entries for line in lines]


def _default(value):
    """ "default 0.1"; empty where there is none."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"default {'on' if value else 'off'}"
    return f"default {value:.4g}" if isinstance(value, float) else f"default {as_text(value)}"


def _owners(defaults):
    """ "with sgd: default 0.1; with adamw: default 0.001" """
    by_default = {}
    for choice, value in defaults.items():
        by_default.setdefault(_default(value), []).append(choice)
    return "; ".join(f"with {listed(names)}" + (text and f": {text}") for text, names in by_default.items())


def _spelled(names):
    """ "resnet8, resnet14, keras:(ResNet50, Xception)": what several begin with up to a colon stands there once."""
    groups = {}
    for name in names:
        start, colon, rest = name.rpartition(":")
        groups.setdefault(start + colon, []).append(rest)
    return ", ".join(f"{start}({', '.join(rest)})" if start else ", ".join(rest) for start, rest in groups.items())


def _wrapped(text, margin, further=None):
    """Lines of a text `margin` characters from the left, all but the first `further`."""
    after = " " * (margin if further is None else further)
    options = {"initial_indent": " " * margin, "subsequent_indent": after}
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False, **options)
