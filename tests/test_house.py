"""The house's rules: which package may import which, who sees flags and settings, and no cycles."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "bbn_tf"
BASE = {"choices", "files", "errors", "surroundings"}
MAY_IMPORT = {  # room -> what of bbn_tf its modules may import, besides itself
    "errors": set(),
    "files": {"errors"},
    "choices": set(),
    "settings": {"choices", "errors"},
    "saving": {"models", "training"},
    "flag_files": {"errors"},
    "help_page": {"choices", "flag_files"},
    "startup": set(),
    "surroundings": {"errors", "startup"},
    "data": BASE,
    "models": BASE,
    "training": BASE | {"data", "models"},
    "runs": BASE | {"data", "models", "training"},
    "api": None,  # everything
    "modes": None,
    "run_names": None,
    "config": None,
    "flags": None,
    "__main__": None,
}
OF_TRAINING_IN_RUNS = {"evaluation"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path) for path in MODULES}


def imports(path):
    """Modules that a file imports: of this package by their full names, of others by their first part.

    Without what only a type checker imports.
    """
    found = set()
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in NAMES else node.module for a in node.names
            }
    return {name if name.startswith("bbn_tf") else name.partition(".")[0] for name in found}


def room(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_what_its_room_may(path):
    here = room(name_of(path))
    seen = {name for name in imports(path) if name.startswith("bbn_tf.")}
    allowed = MAY_IMPORT.get(here)
    if here and allowed is not None:
        assert {room(name) for name in seen} <= allowed | {here}
    if here == "runs":
        of_training = {name.split(".")[2] for name in seen if room(name) == "training"}
        assert of_training <= OF_TRAINING_IN_RUNS
    if here not in ("api", "modes", "flags", "__main__", "run_names", "config"):
        assert not seen & {"bbn_tf.config", "bbn_tf.flags", "bbn_tf.settings"}, "sees the settings of a run"


def test_only_flags_and_the_program_import_absl():
    assert {name_of(path) for path in MODULES if "absl" in imports(path)} == {"bbn_tf.flags", "bbn_tf.__main__"}


def test_there_are_no_cycles():
    graph = {name_of(path): {name for name in imports(path) if name in NAMES} for path in MODULES}
    done = set()

    def visit(name, above):
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for other in graph[name] - {name}:
                visit(other, [*above, name])
            done.add(name)

    for name in graph:
        visit(name, [])


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 250
