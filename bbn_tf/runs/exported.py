"""What an exported model records of its run."""

import json
import os
import pathlib

from bbn_tf.errors import UserError

# In a SavedModel `assets.extra` is for whoever deploys it: TensorFlow and TensorFlow Serving read nothing there
# but files of their own names, and it travels with the folder.
EXPORT_FACTS = os.path.join("assets.extra", "run.json")


def read_export_facts(path):
    """What `bbn_tf.modes.export` recorded beside the SavedModel in `path`, dict; None if there is no SavedModel.

    Raises:
        UserError: a SavedModel that was exported by something else, or is damaged.
    """
    path = pathlib.Path(path)
    if not (path / "saved_model.pb").is_file():
        return None
    try:
        facts = json.loads((path / EXPORT_FACTS).read_text())
        facts["settings"].items(), facts["class_names"][0]  # the least it must hold
        return facts
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"--model_dir={path}: its {EXPORT_FACTS} can't be read ({type(error).__name__}); name a folder that "
            "--mode=export wrote"
        ) from error
