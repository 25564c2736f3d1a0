"""Tables of what a user picks by name; a row owns the settings that only it has.

Flags, their help, the checks, and what has no meaning together are derived from the rows: see `bbn_tf.config`.

    >>> focal_gamma = Setting("focal_gamma", 2.0, "The exponent.", rule=at_least(0))
    >>> LOSSES = Table("loss", ce=Choice("module:function"), focal=Choice("module:other", focal_gamma))
"""

import dataclasses
import difflib
import functools
import importlib
import math

# What a setting is about; a second stage inherits DATA and has its own CLASSIFIER settings.
START = "start"  # this start of the program: it may differ when a run is resumed
DATA = "data"
REPRESENTATION = "representation"
CLASSIFIER = "classifier"
SECOND_STAGE = "second stage"
MOST_LISTED = 20  # choices that a message names all

# Per channel, of photographs scaled to [0, 1]: the published code's, and those of many networks of Keras.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting of a run: a flag.

    Attributes:
        name: of the flag.
        default: its value where the setting has a meaning and is not given; None for none.
        help: at most two lines.
        kind: type of the value, `tuple[int, ...]` for one; by default that of `default`.
        rule: (value, dict name -> value of all settings) -> what the value must be, None if it is that.
        fits: the same for what other settings must be to go with it; not for a finished run, nor for --mode=describe,
            which has yet to advise them.
        table: `Table` of the choices, if it is a choice; its rows' own settings come with it.
        names: tuple of the choices of a setting whose choices have no table.
        part: which part of a run it is about, one of the constants above; None for its owner's.
        heading: the part under which --help shows it; None for `part`.
        path: whether it is the path of a file or folder, in which `~` is the home folder; a run keeps one that is
            part of the data as an absolute path.
        rescaled: whether the same value means something else with another choice of the flag that owns it.
        needed: what it must name, as text, wherever it has a meaning; empty if it can do without.
    """

    name: str
    default: object
    help: str
    kind: type | None = None
    rule: object = None
    fits: object = None
    table: "Table | None" = None
    names: tuple[str, ...] = ()
    part: str | None = None
    heading: str | None = None
    path: bool = False
    rescaled: bool = False
    needed: str = ""

    def with_default(self, default):
        """The same setting for a row that has another default."""
        return dataclasses.replace(self, default=default, kind=self.type)

    @property
    def type(self):
        return self.kind or (str if self.table is not None or self.names else type(self.default))

    @property
    def choices(self):
        """Tuple of names; empty if any value of the type will do."""
        return tuple(self.table) if self.table is not None else self.names

    def unknown(self, value):
        """What a value must be that is none of the choices, as text; None if it is one, or if any value will do."""
        several = isinstance(value, tuple)
        if value is None or not self.choices or (value and set(value if several else [value]) <= set(self.choices)):
            return None
        if len(self.choices) > MOST_LISTED and not several:
            return f"unknown{similar(value, self.choices)}; --help lists all{self.table.own if self.table else ''}"
        names = ", ".join(self.choices)
        return f"must be of {names}, separated by commas" if several else f"must be one of {names}"

    def violation(self, values, alone=False):
        """What the value in `values` must be, as text; None if it is that.

        A text that starts with "--" is a whole message.

        Args:
            values: dict name -> value of all settings.
            alone: whether `fits` is left out.
        """
        value = values[self.name]
        if unknown := self.unknown(value):
            return unknown
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        rules = [rule for rule in (self.rule, None if alone else self.fits) if rule]
        return next(filter(None, (rule(value, values) for rule in rules)), None)


class Choice:
    """A row of a table: what is done, and the settings that only this choice has.

    Args:
        function: what it does; as text, "package.module:name", it is imported when it is first used, so that a table
            costs no import of TensorFlow.
        *settings: `Setting`s, with this row's default.
        arguments: dict of keyword arguments that every call of the function gets.
        fixes: dict name -> the one value that another setting can have with this choice.
        **traits: what else others must know of the choice; those that are not named are None.
    """

    def __init__(self, function=None, *settings, arguments=None, fixes=None, **traits):
        self._function, self.settings, self.arguments = function, settings, arguments or {}
        self.fixes, self.traits = fixes or {}, traits

    @functools.cached_property
    def function(self):
        return imported(self._function)

    def __call__(self, *args, **kwargs):
        return self.function(*args, **self.arguments, **kwargs)

    def own(self, values):
        """dict name -> value: of `values`, a dict, what belongs to this choice."""
        return {setting.name: values[setting.name] for setting in self.settings}

    def __getattr__(self, trait):
        if trait.startswith("_"):
            raise AttributeError(trait)
        return self.traits.get(trait)


class Table(dict):
    """dict name -> `Choice`, in the order in which help names them.

    Args:
        flag: name of the setting that picks a row.
        rows: dict of the rows.
        **more: further rows.

    Attributes:
        own: the end of a message about an unknown name: how one of the user's own gets known.
    """

    own = ""

    def __init__(self, flag, rows=(), **more):
        super().__init__(rows, **more)
        self.flag = flag

    def having(self, trait):
        """list of the names of rows with a trait."""
        return [name for name, row in self.items() if getattr(row, trait)]


def similar(name, names):
    """The names most similar to `name` as the end of a message, empty if none is."""
    close = difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)
    return f" (similar: {', '.join(close)})" if close else ""


def listed(names, separator=", "):
    """Names as text, of many the first few and how many there are."""
    names = list(names)
    if len(names) <= MOST_LISTED:
        return separator.join(names)
    return f"{separator.join(names[:2])} and {len(names) - 2} more"


def as_text(value):
    """A value as it stands in flags.txt."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def imported(function):
    """The function itself, or the one that a text "package.module:name" names."""
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def at_least(low, below=math.inf):
    """Rule for a number, or None."""
    text = f"must be at least {low:g}" + (f" and below {below:g}" if below < math.inf else "")
    return lambda value, values: None if value is None or low <= value < below else text


def above(low, below=math.inf):
    """Rule for a number, or None."""
    text = f"must be above {low:g}" + (f" and below {below:g}" if below < math.inf else "")
    return lambda value, values: None if value is None or low < value < below else text


def within(low, high):
    """Rule for a number, or None."""
    return lambda value, values: None if value is None or low <= value <= high else f"must be from {low} to {high}"


def is_seed(value, values):
    """Rule for a seed, or None."""
    return None if value is None or 0 <= value < 2**32 else "must be at least 0 and below 2^32"


def not_empty(value, values):
    """Rule for a text, or None."""
    return "must not be empty" if value == "" else None
