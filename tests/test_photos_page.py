"""The worked example of docs/photos.md: its commands are taken, and are those that describe advises."""

import pathlib
import re
import shlex

from bbn_tf import flags
from bbn_tf.modes import advised_command
from bbn_tf.modes.advice import Seen, advise

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "photos.md").read_text()


def commands(language):
    """Arguments of each `python main.py` in the page's blocks of a language."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("python main.py")]
    return [shlex.split(line)[2:] for line in lines]


def advised(**image_size):
    """For 393 generated photos, of which a fifth is held out."""
    given = {"data_dir": "photos", "model_dir": "saved_models/photos", "dataset": "folder", **image_size}
    seen = Seen(images=315, classes=6, largest=160, rarest=5, side=240, encoded=True, imagenet=True, given=given)
    return advised_command.command(advise(seen), given)


def test_commands_are_those_that_describe_advises():
    describe, train, *of_the_run = commands("sh")
    assert train == advised(image_size=32)
    assert commands("console") == [advised()]
    assert (
        "--mode=describe" in describe and flags.parse(train).epochs == 40 and flags.parse(describe).mode == "describe"
    )
    assert {flag for command in of_the_run for flag in command if "mode=" in flag} == {
        "--mode=evaluate",
        "--mode=export",
        "--mode=predict",
    }
