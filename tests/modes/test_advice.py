"""What --mode=describe advises, by numbers; and that main.py takes each command."""

import shlex
import types

import numpy as np
import pytest

from bbn_tf import flag_files, flags
from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.modes import advised_command
from bbn_tf.modes.advice import Seen, advise
from bbn_tf.runs.folder import HEADER

FOLDER = {"dataset": "folder", "data_dir": "photos"}
# images, classes, largest, rarest, side, encoded, whether ImageNet's weights can be had -> flag file, settings
CASES = {
    "hundreds of photos": (
        (640, 6, 300, 9, 600, True, True),
        "bbn_finetune",
        ("keras:MobileNetV3Small", 224, 32, 30, "trunk", "imagenet"),
    ),
    "hundreds of photos, no connection": (
        (640, 6, 300, 9, 600, True, False),
        "bbn",
        ("resnet14", 64, 32, 40, "none", None),
    ),
    "a dozen photos": (
        (12, 3, 8, 1, 600, True, True),
        "bbn_finetune",
        ("keras:MobileNetV3Small", 224, 4, 30, "trunk", "imagenet"),
    ),
    "two photos": ((2, 2, 1, 1, 600, True, False), "logit_adjusted", ("resnet14", 64, 2, 40, "none", None)),
    "hundreds of small pictures": ((640, 6, 300, 9, 32, True, True), "bbn", ("resnet14", 32, 32, 40, "none", None)),
    "20,000 photos": (
        (20_000, 50, 3000, 12, 100, True, True),
        "bbn_finetune",
        ("keras:EfficientNetV2B0", 96, 32, 15, "none", "imagenet"),
    ),
    "20,000 photos, no connection": (
        (20_000, 50, 3000, 12, 600, True, False),
        "bbn",
        ("resnet18", 128, 128, 90, "none", None),
    ),
    "20,000 even photos": (
        (20_000, 50, 450, 350, 600, True, True),
        "finetune",
        ("keras:EfficientNetV2B0", 224, 32, 15, "none", "imagenet"),
    ),
    "CIFAR": ((13_996, 10, 5000, 100, 32, False, True), "bbn", ("resnet32", None, 128, 200, "none", None)),
    "250,000 small pictures": (
        (250_000, 100, 9000, 90, 40, True, True),
        "bbn",
        ("resnet32", 32, 128, 90, "none", None),
    ),
    "437,513 photos": (
        (437_513, 8142, 1000, 2, 600, True, True),
        "bbn_inaturalist",
        ("resnet50", 224, 128, 90, "none", None),
    ),
}


def seen_of(numbers, **given):
    return Seen(*numbers, given=given)


def command_of(numbers, given):
    return advised_command.command(advise(seen_of(numbers, **given)), given)


@pytest.mark.parametrize("name", CASES)
def test_what_fits_by_numbers_is_what_main_trains(name):
    numbers, flag_file, expected = CASES[name]
    given = FOLDER if numbers[5] else {"dataset": "cifar10_lt"}
    command = command_of(numbers, given)
    assert command[0].endswith(f"flags/{flag_file}.flags")
    config = flags.parse(command)
    settings = ("backbone", "image_size", "global_batch_size", "epochs", "freeze", "init_from")
    assert tuple(getattr(config, name) for name in settings) == expected
    assert config.epochs >= config.warmup_epochs and numbers[0] >= config.global_batch_size
    assert config.model == ("plain" if flag_file in ("finetune", "logit_adjusted") else "bbn")


def test_every_choice_has_a_reason_with_the_numbers():
    reasons = {flag: reason for flag, _, reason in advise(seen_of(CASES["hundreds of photos"][0]))}
    assert all(reasons.values())
    method, other = reasons["flagfile"].split("; ")
    assert method == "BBN: 300 to 9 images a class, imbalance factor 33.33"
    assert other == "flags/finetune.flags may have fewer errors, see docs/results.md"
    assert reasons["init_from"] == "640 images are too few to train a network for photos from random weights"
    assert (reasons["global_batch_size"], reasons["epochs"]) == ("20 steps an epoch", "600 steps")


class Photos(types.SimpleNamespace):
    """Stands in for 640 photos."""

    train_labels, num_classes, class_counts, one_by_one = range(640), 3, np.array([600, 31, 9]), True

    def typical_side(self):
        return 480


def text_of(given, why_not=None, damaged=0):
    config = Config(mode="describe", output="x.png", **given)
    return advised_command.text(config, Photos(), damaged, lambda backbone: why_not)


def parsed(text):
    return flags.parse(shlex.split(text.splitlines()[1])[2:])


@pytest.mark.parametrize(
    ("given", "also"),
    [
        ({"data_dir": "my photos", "seed": 3}, {"backbone": "keras:MobileNetV3Small", "freeze": "trunk"}),
        ({"image_size": 32}, {"backbone": "resnet14", "init_from": None}),
        ({"backbone": "resnet50"}, {"init_from": None, "image_size": 224}),
        ({"backbone": "resnet20"}, {"init_from": None, "image_size": 64}),
        ({"backbone": "keras:DenseNet121"}, {"init_from": "imagenet", "image_size": 224}),
        ({"model": "plain", "loss": "focal", "focal_gamma": 1.5}, {"logit_adjustment": None, "sampler": "uniform"}),
        ({"model": "plain", "sampler": "balanced"}, {"loss": "ce", "init_from": "imagenet"}),
        ({"model": "plain", "sampler": "reversed", "image_size": 32}, {"loss": "ce", "logit_adjustment": None}),
        ({"model": "plain", "sampler": "uniform"}, {"loss": "logit_adjusted"}),
        ({"adaptor": "equal"}, {"model": "bbn"}),
        ({"epochs": 8, "lr_schedule": "cosine", "warmup_epochs": 2}, {"freeze": "trunk"}),
        ({"lr_milestones": (100, 150)}, {"lr_schedule": "steps", "epochs": 188}),
        ({"lr_milestones": (12, 25)}, {"lr_schedule": "steps", "epochs": 30}),
        ({"lr_schedule": "steps"}, {"epochs": 30, "lr_milestones": (18, 24), "freeze": "trunk"}),
        ({"lr_factor": 0.1, "epochs": 1}, {"lr_schedule": "steps", "lr_milestones": (), "warmup_epochs": 0}),
        ({"epochs": 60}, {"lr_schedule": "cosine", "warmup_epochs": 5, "init_from": "imagenet"}),
        ({"epochs": 3}, {"lr_schedule": "cosine", "warmup_epochs": 0}),
        ({"freeze": "trunk"}, {"backbone": "keras:MobileNetV3Small", "init_from": "imagenet"}),
        ({"init_from": "imagenet"}, {"backbone": "keras:MobileNetV3Small", "freeze": "trunk"}),
        ({"optimizer": "sgd"}, {"learning_rate": 0.01, "init_from": "imagenet"}),
        ({"optimizer": "sgd", "learning_rate": 0.3}, {"init_from": "imagenet"}),
        ({"optimizer": "adamw", "image_size": 32}, {"learning_rate": 0.001, "backbone": "resnet14"}),
        ({"trunk_lr_factor": 0.5}, {"freeze": "none", "init_from": "imagenet"}),
        ({"validation_fraction": 0.25, "skip_unreadable": True}, {"freeze": "trunk"}),
        ({"init_from": "a/efficientnetv2-b0_notop.h5"}, {"freeze": "trunk", "backbone": "keras:EfficientNetV2B0"}),
        ({"init_from": "a.npz", "backbone": "resnet50", "optimizer": "sgd"}, {"freeze": "trunk", "image_size": 224}),
    ],
    ids=lambda given: " ".join(given),
)
def test_what_the_user_has_given_is_kept(given, also):
    config = parsed(text_of({**FOLDER, **given}))
    for name, value in {**FOLDER, **given, **also}.items():
        assert getattr(config, name) == value, name
    assert config.mode == "train"


def test_weights_out_of_reach_cost_one_line_that_says_how_they_get_there():
    text = text_of(FOLDER, why_not="URL can't be downloaded (no answer); put this file into FOLDER")
    assert parsed(text).backbone == "resnet14" and parsed(text).init_from is None
    assert [line for line in text.splitlines() if "put this file into FOLDER" in line] == text.splitlines()[-1:]


def test_the_trunk_of_weights_out_of_reach_stays_frozen():
    text = text_of({**FOLDER, "freeze": "trunk", "epochs": 60}, why_not="put this file into FOLDER")
    assert (parsed(text).init_from, parsed(text).freeze, parsed(text).epochs) == ("imagenet", "trunk", 60)
    assert text.splitlines()[-1] == "what is given needs ImageNet's weights: put this file into FOLDER"


@pytest.mark.parametrize("file", ["resnet.npz", "weights.h5"])
def test_the_network_of_a_file_is_not_guessed(file):
    text = text_of({**FOLDER, "init_from": file})
    assert "--backbone" not in text.splitlines()[1] and parsed(text).init_from == file
    assert text.splitlines()[-1].startswith("give --backbone, the network of that file")


def test_the_network_of_a_second_stage_is_not_guessed(tmp_path):
    (tmp_path / "flags.txt").write_text(f"{HEADER}\n--mode=probe\n--from_run=first\n")
    text = text_of({**FOLDER, "init_from": str(tmp_path)})
    assert "--backbone" not in text.splitlines()[1] and "give --backbone" in text


@pytest.mark.parametrize(
    ("numbers", "given", "advised"),
    [  # 20,000 photos and 640 photos without weights; of what size and why
        ((20_000, 50, 3000, 12, 600, True, False), {}, (128, "33 % of the cost of 224")),
        ((20_000, 50, 3000, 12, 170, True, False), {}, (128, "64 % of the cost of 160")),
        ((640, 6, 300, 9, 200, True, False), {}, (64, "what this network is made for")),
        ((640, 6, 300, 9, 200, True, False), {"backbone": "resnet50"}, (192, "the images' shorter side is 200 pixels")),
        ((640, 6, 300, 9, 600, True, False), {"backbone": "resnet50"}, (224, "the usual side")),
        ((20_000, 50, 3000, 12, 600, True, False), {"backbone": "resnet32"}, (64, "what this network is made for")),
        (
            (640, 6, 300, 9, 70, True, True),
            {"backbone": "keras:Xception"},
            (71, "the smallest side that this network takes"),
        ),
    ],
)
def test_the_size_is_the_networks(numbers, given, advised):
    assert [line[1:] for line in advise(seen_of(numbers, **given)) if line[0] == "image_size"] == [advised]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_learning_rate_is_for_its_optimizer(name, optimizer):
    advised = {flag: value for flag, value, _ in advise(seen_of(CASES[name][0], optimizer=optimizer))}
    if optimizer == "adamw":
        assert "learning_rate" not in advised
    else:
        assert (advised.get("learning_rate") == 0.01) == (advised.get("init_from") == "imagenet")


def test_damaged_files_are_left_out():
    text = text_of(FOLDER, damaged=2)
    assert parsed(text).skip_unreadable and parsed(text).freeze == "trunk"
    assert "  --skip_unreadable: training would refuse the damaged files (2)" in text.splitlines()
    assert text_of({**FOLDER, "skip_unreadable": True}, damaged=2) == text_of({**FOLDER, "skip_unreadable": True})


def test_a_batch_has_at_most_all_images():
    text = text_of({**FOLDER, "global_batch_size": 1000})
    assert parsed(text).global_batch_size == 640 and "--epochs=30: 30 steps" in text
    assert text.splitlines()[-1].startswith("--global_batch_size=1000: there are only 640 training images")


def test_an_installed_program_names_its_own_command(monkeypatch):
    monkeypatch.setattr(flag_files, "COMMAND", "bbn-tf")
    assert text_of(FOLDER).splitlines()[1].startswith("  bbn-tf --flagfile=")


@pytest.mark.parametrize("setting", [{"lr_milestones": (9, 3)}, {"warmup_epochs": -1}, {"freeze": "x"}])
def test_what_makes_no_sense_with_anything_is_refused_at_once(setting):
    with pytest.raises(UserError, match=f"--{next(iter(setting))}="):
        Config(mode="describe", output="x.png", **FOLDER, **setting)


def test_what_training_would_refuse_is_said():
    text = text_of({**FOLDER, "backbone": "resnet50", "freeze": "trunk"})
    assert text.splitlines()[-1].startswith("training refuses what is given: --freeze=trunk: needs --init_from")


def test_what_does_not_go_with_it_is_said_and_kept_alone():
    text = text_of({**FOLDER, "momentum": 0.8})
    assert parsed(text).momentum == 0.8 and parsed(text).backbone == "resnet32"
    assert "do not go with those given" in text and "--momentum=0.8: has no meaning with --optimizer=adamw" in text


def test_the_network_of_a_run_to_start_from(finished_run):
    run = finished_run(dataset="digits_lt", model="plain").model_dir
    text = text_of({**FOLDER, "init_from": run})
    config = parsed(text)
    assert (config.backbone, config.init_from, config.freeze) == ("tiny", run, "trunk")
    assert "--backbone=tiny: that of the run to start from" in text
