"""Facts about a run that its exported model records."""

import json
import os
import pathlib

from bbn_tf.errors import UserError

# A SavedModel has `assets.extra` for the users' own files: TensorFlow and TensorFlow Serving ignore unknown files
# there, and the file moves with the folder.
EXPORT_FACTS = os.path.join("assets.extra", "run.json")


def read_export_facts(path):
    """Reads the facts that `bbn_tf.modes.export` recorded with a SavedModel.

    Returns:
        dict with at least `settings` (dict) and `class_names` (list); None if `path` holds no SavedModel.

    Raises:
        UserError: another program exported the SavedModel, or its facts are damaged.
    """
    path = pathlib.Path(path)
    if not (path / "saved_model.pb").is_file():
        return None
    try:
        facts = json.loads((path / EXPORT_FACTS).read_text())
    except (OSError, ValueError) as error:
        raise _unreadable(path, type(error).__name__) from error
    if not _are_complete(facts):
        raise _unreadable(path, "settings or class_names are missing")
    return facts


def _are_complete(facts):
    if not isinstance(facts, dict) or not isinstance(facts.get("settings"), dict):
        return False
    return isinstance(facts.get("class_names"), list) and len(facts["class_names"]) > 0


def _unreadable(path, reason):
    return UserError(
        f"--model_dir={path}: its {EXPORT_FACTS} can't be read ({reason}); name a folder that --mode=export wrote"
    )
