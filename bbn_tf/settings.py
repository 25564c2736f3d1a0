"""All settings, also those that a table's rows own: which of them have a meaning, their defaults and checks."""

import collections
import dataclasses
import numbers
import os
import typing

from bbn_tf.choices import DATA, as_text, listed, similar
from bbn_tf.errors import UserError

ABSTRACT = {int: numbers.Integral, float: numbers.Real}  # NumPy's numbers are numbers, too
WANTED = {str: "a text", bool: "True or False", int: "a whole number", float: "a number"}
WANTED_OF_SEVERAL = {str: "a list of texts", int: "a list of whole numbers"}


class Settings(dict):
    """dict name -> `Setting`: the core settings, and all settings that the rows of their tables own.

    A setting without a `part` gets the part of its owner.

    Args:
        core: `Setting`s that always have a meaning; `complete` handles them in this order.
    """

    def __init__(self, core):
        super().__init__()
        self.core = tuple(core)
        self.owners = {}  # name -> list of the (flag, choice) that own the setting
        self.defaults = {}  # name -> list of all defaults that core and owners give it
        for setting in self.core:
            self._add(setting)

    def _add(self, setting):
        self.setdefault(setting.name, setting)
        self.defaults.setdefault(setting.name, []).append(setting.default)
        for choice, row in (setting.table or {}).items():
            for own in row.settings:
                owners = self.owners.setdefault(own.name, [])
                if (setting.table.flag, choice) not in owners:
                    owners.append((setting.table.flag, choice))
                    self._add(dataclasses.replace(own, part=own.part or setting.part))

    def complete(self, given, recorded=False):
        """Gives every setting a value: fixed by a choice, given, its default, or None if it has no meaning.

        Args:
            given: dict name -> value; None for a setting that is not given.
            recorded: whether an older version may have written `given`; then a setting without a meaning is accepted at
                its default.

        Returns:
            dict name -> value.

        Raises:
            UserError: a given setting is unknown, of another type or without a meaning with the choices, or a choice
                fixes another value.
        """
        given = {name: self._of_its_type(name, value) for name, value in given.items() if value is not None}
        values, fixed, queue = {}, {}, collections.deque(self.core)
        while queue:
            setting = queue.popleft()
            values[setting.name] = fixed.get(setting.name, given.get(setting.name, setting.default))
            if unknown := setting.unknown(values[setting.name]):  # or its row would be missed below
                raise UserError(f"--{setting.name}={as_text(values[setting.name])}: {unknown}")
            row = _row(setting, values[setting.name])
            if row is not None:
                queue.extendleft(reversed(row.settings))
                for name, value in row.fixes.items():
                    fixed[name] = value
                    if given.get(name, value) != value and not recorded:
                        raise UserError(f"--{name}={as_text(given[name])}: {self._only_with(setting, name)}")
        for name, value in given.items():
            if name not in values and not (recorded and value in self.defaults[name]):
                raise UserError(f"--{name}={as_text(value)}: {self.no_meaning(name, values)}")
        return {name: self._found(name, values.get(name)) for name in self}

    def _of_its_type(self, name, value):
        """A given value as the setting's type, since Python's users give lists, 1 for 1.0, and `Path`s."""
        if name not in self:
            raise UserError(f"{name}={value!r}: there is no such setting{similar(name, self)}")
        return os.path.expanduser(_typed(self[name], value)) if self[name].path else _typed(self[name], value)

    def _found(self, name, value):
        """The value; as an absolute path if it is one of the data's files, found from the working directory."""
        of_data = self[name].path and self[name].part == DATA
        return os.path.abspath(value) if value is not None and of_data else value

    def is_of_another(self, flag, choice, name):
        """Whether a setting belongs to other choices of a flag, not to this one."""
        owners = self.owners.get(name, [(flag, choice)])
        return (flag, choice) not in owners and flag in {owner for owner, _ in owners}

    def no_meaning(self, name, values):
        """Text for a message: the choice in `values` that does not use the setting, and the choices that use it."""
        flags = [flag for flag, _ in self.owners[name]]
        flag = next((flag for flag in flags if flag in values), flags[0])
        if flag not in values:
            return self.no_meaning(flag, values)
        only = [choice for owner, choice in self.owners[name] if owner == flag]
        return f"has no meaning with --{flag}={as_text(values[flag])}, only with {listed(only)}"

    def _only_with(self, setting, name):
        flag = setting.table.flag
        free = [choice for choice, row in setting.table.items() if name not in row.fixes]
        return f"only with --{flag}={', '.join(free)}"

    def check(self, values, alone=False):
        """Raises UserError for the first value that is needed and missing, or breaks a rule of its setting.

        Args:
            values: dict name -> value of all settings.
            alone: whether values need not fit each other; see `Setting.fits`.
        """
        for name, setting in self.items():
            for flag, choice in self.owners.get(name, ()):
                if setting.needed and not values[name] and values[flag] == choice:
                    raise UserError(f"--{flag}={choice}: needs --{name}, {setting.needed}")
            rule = setting.violation(values, alone)
            if rule:
                raise UserError(rule if rule.startswith("--") else f"--{name}={as_text(values[name])}: {rule}")


def _typed(setting, value):
    """A value as the setting's type.

    Raises:
        UserError: it has another one.
    """
    kind = setting.type
    if typing.get_origin(kind) is tuple:
        (part, *_) = typing.get_args(kind)
        if isinstance(value, (list, tuple)) and all(_is(part, each) for each in value):
            return tuple(part(each) for each in value)
        raise UserError(f"{setting.name}={value!r}: must be {WANTED_OF_SEVERAL[part]}")
    if setting.path and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not _is(kind, value):
        raise UserError(f"{setting.name}={value!r}: must be {WANTED[kind]}")
    return kind(value)


def _is(kind, value):
    """Whether a value is of a type, or can stand for it; True is no number."""
    return isinstance(value, ABSTRACT.get(kind, kind)) and (kind is bool or not isinstance(value, bool))


def _row(setting, value):
    if setting.table is None or not isinstance(value, str):
        return None
    return setting.table.get(value)
