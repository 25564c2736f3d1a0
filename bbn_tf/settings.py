"""All settings there are, those of chosen rows included: which have a meaning, their defaults, their checks."""

import collections
import dataclasses

from bbn_tf.choices import as_text, listed
from bbn_tf.errors import UserError


class Settings(dict):
    """dict name -> `Setting`: some settings, and of all tables that they name every row's own, with owners' parts.

    Args:
        core: `Setting`s that always have a meaning, in the order in which they are completed.
    """

    def __init__(self, core):
        super().__init__()
        self.core = tuple(core)
        self.owners = {}  # name -> list of (flag, choice) that own the setting
        self.defaults = {}  # name -> list of its owners' defaults
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
        """dict name -> value of all settings: given, fixed by a choice, default, or None where it has no meaning.

        Args:
            given: dict name -> value, None for what is not given.
            recorded: whether an older version may have written it: what has no meaning is then accepted at its
                default.

        Raises:
            UserError: something is given that has no meaning.
        """
        given = {name: value for name, value in given.items() if value is not None}
        if unknown := sorted(set(given) - set(self)):
            raise TypeError(f"{unknown[0]!r} is no setting")
        values, fixed, queue = {}, {}, collections.deque(self.core)
        while queue:
            setting = queue.popleft()
            values[setting.name] = fixed.get(setting.name, given.get(setting.name, setting.default))
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
        return {name: values.get(name) for name in self}

    def no_meaning(self, name, values):
        """Text: with which choice in `values` a setting has no meaning, and with which it has."""
        flag = self.owners[name][0][0]
        if flag not in values:
            return self.no_meaning(flag, values)
        only = [choice for owner, choice in self.owners[name] if owner == flag]
        return f"has no meaning with --{flag}={as_text(values[flag])}, only with {listed(only)}"

    def _only_with(self, setting, name):
        flag = setting.table.flag
        free = [choice for choice, row in setting.table.items() if name not in row.fixes]
        return f"only with --{flag}={', '.join(free)}"

    def check(self, values):
        """Raises UserError for the first value that is not what its setting must be."""
        for name, setting in self.items():
            rule = setting.violation(values)
            if rule:
                raise UserError(rule if rule.startswith("--") else f"--{name}={as_text(values[name])}: {rule}")


def _row(setting, value):
    if setting.table is None or not isinstance(value, str):
        return None
    return setting.table.get(value)
