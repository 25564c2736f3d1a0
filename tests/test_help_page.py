"""What --help shows, of a few settings by hand and of all that there are."""

import textwrap

import pytest

from bbn_tf import help_page
from bbn_tf.choices import CLASSIFIER, DATA, START, Choice, Setting, Table
from bbn_tf.config import SETTINGS
from bbn_tf.settings import Settings

RATE = Setting("rate", 0.1, "How fast.")
OUTPUT, DEVICES = Setting("output", None, "What to write.", kind=str), Setting("devices", 0, "How many.")
MODES = Table(
    "mode",
    train=Choice(None, DEVICES, does="trains."),
    predict=Choice(None, OUTPUT.with_default("a.csv"), DEVICES, does="predicts."),
    describe=Choice(None, OUTPUT, DEVICES, does="describes."),
    probe=Choice(None, DEVICES, does="probes."),
)
OPTIMIZERS = Table("optimizer", sgd=Choice(None, RATE), adam=Choice(None, RATE.with_default(1 / 3)))
NETWORKS = Table("network", {"small": Choice(), "keras:Big": Choice(), "keras:Bigger": Choice()})
FEW = Settings(
    [
        Setting("mode", "train", "What to do.", table=MODES, part=START),
        Setting("network", "small", "Network.", table=NETWORKS, part=DATA, heading=CLASSIFIER),
        Setting("optimizer", "sgd", "Optimizer.", table=OPTIMIZERS, part=CLASSIFIER),
        Setting("steps", (), "Steps.", kind=tuple[int, ...], part=DATA),
        Setting("exact", True, "Slowly.", part=DATA),
    ]
)
PAGE = """\
Data:
  --steps
      Steps.
  --[no]exact (default on)
      Slowly.

Model:

Training:
  --network (default small)
      Network.
      Choices: small, keras:(Big, Bigger)
  --optimizer (default sgd)
      Optimizer.
      Choices: sgd, adam
      --rate (with sgd: default 0.1; with adam: default 0.3333)
          How fast.

Run:
  --mode (default train)
      What to do.
      train: trains.
      predict: predicts.
      describe: describes.
      probe: probes.
  --devices (with train, predict, describe, probe: default 0)
      How many.

--mode=predict: predicts.
  --output (default a.csv)
      What to write.

--mode=describe: describes.
  --output
      What to write."""


def test_a_page():
    assert help_page.page(FEW) == f"{help_page.USAGE}\n\n{PAGE}"


def test_every_setting_is_on_the_page_which_is_narrow():
    lines = help_page.page(SETTINGS).split("\n\n", 3)[-1].splitlines()
    shown = {line.split()[0].removeprefix("--").removeprefix("[no]") for line in lines if line.startswith("  ")}
    assert set(SETTINGS) <= shown
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", SETTINGS)
def test_a_help_text_takes_two_lines_at_most(name):
    assert len(textwrap.wrap(SETTINGS[name].help, help_page.WIDTH - 2 - 2 * help_page.STEP)) <= 2
