import pathlib
import re

import pytest

from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from tests.in_process import parse

FLAG_FILES = sorted((pathlib.Path(__file__).parents[1] / "flags").glob("*.flags"))


DATA_FILES = ("imagenet_lt", "inaturalist2017", "inaturalist2018", "places_lt")


@pytest.fixture
def first_run(tmp_path):
    """Function (model, or "second" for a second stage of BBN) -> folder of a run of it, as far as its settings."""

    def make(model):
        config = Config(dataset="cifar100_lt", imbalance_factor=10.0, imbalance_seed=2, seed=3, model="bbn")
        if model == "second":
            config = parse("--mode=probe", f"--from_run={make('bbn')}")
        elif model != "bbn":
            config = config.replace(model=model)
        RunFolder(tmp_path / model).prepare(config.settings(), overwrite=False)
        return tmp_path / model

    return make


def test_defaults_are_the_papers():
    config = parse()
    assert (config.model, config.sampler, config.adaptor) == ("bbn", "reversed", "parabolic_decay")
    assert (config.epochs, config.lr_milestones, config.lr_factor) == (200, (120, 160), 0.01)
    assert (config.learning_rate, config.momentum, config.weight_decay) == (0.1, 0.9, 2e-4)
    assert config.model_dir.startswith("saved_models/digits_lt_if50_bbn_resnet32")


@pytest.mark.parametrize("path", FLAG_FILES, ids=lambda path: path.stem)
def test_every_flag_file_parses_and_begins_with_a_comment(path, first_run):
    assert path.read_text().startswith("# ")
    second_stage = "--mode=probe" in path.read_text() or "--flagfile=flags/crt.flags" in path.read_text()
    data = ["--data_dir=x"] if path.stem in DATA_FILES else []
    parse(f"--flagfile={path}", *data, *([f"--from_run={first_run('bbn')}"] if second_stage else []))


@pytest.mark.parametrize(
    ("method", "epochs", "milestones", "deferred"),
    [
        ("bbn_inaturalist", 90, (60, 80), 0),
        ("bbn_inaturalist_2x", 180, (120, 160), 0),
        ("ce_inaturalist", 90, (60, 80), 0),
        ("ce_drw_inaturalist", 90, (60, 80), 60),
        ("ce_drs_inaturalist", 90, (60, 80), 60),
        ("cb_focal_inaturalist", 90, (60, 80), 0),
        ("ldam_drw_inaturalist", 90, (60, 80), 60),
        ("ldam_drw_inaturalist_2x", 180, (120, 160), 120),
    ],
)
def test_table_2(method, epochs, milestones, deferred):
    """Section 5.2's schedule, and the method's own settings still in place behind it."""
    files = [f"--flagfile=flags/{name}.flags" for name in ("inaturalist2018", method)]
    config = parse(*files, "--data_dir=x")
    assert (config.dataset, config.image_size, config.backbone) == ("inaturalist2018", 224, "resnet50")
    assert (config.epochs, config.lr_milestones, config.lr_factor) == (epochs, milestones, 0.1)
    assert (config.global_batch_size, config.learning_rate, config.warmup_epochs) == (128, 0.05, 0)
    assert config.deferred_epoch == deferred and config.model == ("bbn" if "bbn" in method else "plain")
    assert config.loss == {"cb": "focal", "ldam": "ldam"}.get(method.split("_")[0], "ce")
    assert (config.class_weights == "effective") == ("drw" in method or "cb" in method)


@pytest.mark.parametrize(
    ("data", "images", "backbone", "epochs"),
    [("imagenet_lt", (115_846, 50_000), "resnext50_32x4d", 90), ("places_lt", (62_500, 36_500), "resnet152", 30)],
)
@pytest.mark.parametrize("method", ["ce", "bbn", "balanced_softmax", "mixup"])
def test_lists_and_their_settings_after_a_method(data, images, backbone, epochs, method):
    files = [f"--flagfile=flags/{name}.flags" for name in (method, data)]
    config = parse(*files, "--data_dir=x")
    assert (config.dataset, config.expect_images, config.backbone, config.epochs) == ("list", images, backbone, epochs)
    assert (config.lr_schedule, config.warmup_epochs, config.augment) == ("cosine", 0, "random_resized_crop")
    assert config.evaluate_on is None and parse(*files, "--evaluate_on=validation", "--data_dir=x").evaluate_on


@pytest.mark.parametrize("data", ["cifar10_lt", "cifar100_lt"])
@pytest.mark.parametrize("method", ["bbn", "ce"])
def test_data_and_method_files_compose(data, method):
    config = parse(*(f"--flagfile=flags/{name}.flags" for name in (data, method)), "--epochs=300")
    model = {"bbn": "bbn", "ce": "plain"}[method]
    assert (config.dataset, config.model, config.epochs, config.lr_milestones) == (data, model, 300, (120, 160))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--imbalance_factor=0.5", "--imbalance_factor=0.5: must be at least 1"),
        ("--imbalance_factor=nan", "--imbalance_factor=nan: must be a finite number"),
        ("--validation_fraction=1", "--validation_fraction=1: must be at least 0 and below 1"),
        ("--epochs=0", "--epochs=0: must be at least 1"),
        ("--global_batch_size=-1", "--global_batch_size=-1: must be at least 1"),
        ("--learning_rate=0", "--learning_rate=0: must be above 0"),
        ("--learning_rate=inf", "--learning_rate=inf: must be a finite number"),
        ("--lr_milestones=160,120", "--lr_milestones=160,120: must be in ascending order"),
        ("--lr_milestones=120,200", "--lr_milestones=120,200: must be at least 1 and below --epochs=200"),
        ("--lr_milestones=a", "--lr_milestones=a: must be whole numbers separated by commas"),
        ("--warmup_epochs=201", "--warmup_epochs=201: must be at least 0 and at most --epochs=200"),
        ("--weight_decay=-1", "--weight_decay=-1: must be at least 0"),
        ("--momentum=1", "--momentum=1: must be at least 0 and below 1"),
        ("--momentum=0", "--nesterov=True: needs --momentum above 0"),
        ("--seed=-1", "--seed=-1: must be at least 0"),
        ("--eval_every=-1", "--eval_every=-1: must be at least 0"),
        ("--model_dir=", "--model_dir=: must not be empty"),
        ("--mode=evaluate", "--mode=evaluate: needs --model_dir"),
    ],
)
def test_senseless_values_cost_one_line(argument, message):
    with pytest.raises(UserError, match="^" + re.escape(message)):
        parse(argument)


@pytest.mark.parametrize("argument", ["--adaptor=equal", "--feature_convention=paper"])
def test_what_only_bbn_has_is_refused_for_the_plain_model(argument):
    with pytest.raises(UserError, match=re.escape(f"{argument}: has no meaning with --model=plain")):
        parse("--model=plain", argument)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--loss=focal", "--loss=focal: only with --model=plain"),
        ("--class_weights=inverse", "--class_weights=inverse: only with --model=plain"),
        ("--deferred_epoch=3", "--deferred_epoch=3: only with --model=plain"),
        ("--model=plain --deferred_epoch=3", "--deferred_epoch=3: needs --class_weights or --sampler to defer"),
        ("--model=plain --sampler=balanced --deferred_epoch=200", "--deferred_epoch=200: must be below --epochs=200"),
        ("--model=plain --focal_gamma=1", "--focal_gamma=1: has no meaning with --loss=ce"),
        ("--model=plain --loss=focal --ldam_scale=3", "--ldam_scale=3: has no meaning with --loss=focal"),
        ("--model=plain --loss=focal --focal_gamma=-1", "--focal_gamma=-1: must be at least 0"),
        ("--mixup=input", "--mixup=input: only with --model=plain"),
        ("--model=plain --mixup_concentration=1", "--mixup_concentration=1: has no meaning with --mixup=none"),
        ("--model=plain --mixup=input --mixup_concentration=0", "--mixup_concentration=0: must be above 0"),
        ("--model=plain --mixup=input --mixup_sampler=reversed --sampler=balanced", "--mixup_sampler=reversed: needs"),
        ("--model=plain --effective_beta=0.9", "--effective_beta=0.9: has no meaning with --class_weights=none"),
        (
            "--model=plain --class_weights=effective --effective_beta=1",
            "--effective_beta=1: must be at least 0 and below",
        ),
    ],
)
def test_methods_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(UserError, match="^" + re.escape(message)):
        parse(*arguments.split())


def test_settings_that_a_choice_brings_along():
    config = parse("--model=plain", "--loss=ldam", "--class_weights=effective")
    assert (config.ldam_margin, config.ldam_scale, config.effective_beta) == (0.5, 30, 0.9999)
    assert config.focal_gamma is None and config.adaptor is None


def test_plain_model_samples_uniformly_by_default():
    assert parse("--model=plain").sampler == "uniform"
    assert parse("--model=plain", "--sampler=balanced").sampler == "balanced"


def test_evaluate_takes_the_runs_settings(tmp_path):
    trained = Config(epochs=10, lr_milestones=(), adaptor="beta", weight_decay=1e-4, nesterov=False)
    RunFolder(tmp_path).prepare(trained.settings(), overwrite=False)
    config = parse("--mode=evaluate", f"--model_dir={tmp_path}")
    assert config.settings() == trained.settings()
    assert (config.adaptor, config.lr_milestones, config.nesterov, config.sync_batch_norm) == ("beta", (), False, False)
    with pytest.raises(UserError, match="--epochs: has no meaning with --mode=evaluate"):
        parse("--mode=evaluate", f"--model_dir={tmp_path}", "--epochs=3")


def test_second_stage_takes_data_and_seed_from_the_run(first_run):
    config = parse("--mode=probe", f"--from_run={first_run('bbn')}", "--sampler=balanced")
    assert (config.dataset, config.imbalance_factor, config.imbalance_seed, config.seed) == ("cifar100_lt", 10, 2, 3)
    assert (config.classifier, config.model, config.sampler, config.epochs) == ("retrain", "plain", "balanced", 200)
    other = parse("--mode=probe", f"--from_run={first_run('bbn')}", "--dataset=cifar10_lt", "--seed=4")
    assert (other.dataset, other.imbalance_factor, other.seed) == ("cifar10_lt", 10, 4)
    assert other.settings()["mode"] == "probe" and "backbone" not in other.settings()
    untrained = parse("--mode=probe", f"--from_run={first_run('bbn')}", "--classifier=tau_norm")
    assert (untrained.epochs, untrained.tau) == (0, 1) and "learning_rate" not in untrained.settings()


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--classifier=lws --sampler=balanced --epochs=7 --lr_milestones=",
        "--classifier=tau_norm --tau=0.5",
        "--branch=conventional",
    ],
)
def test_second_stages_flags_txt_repeats_it(arguments, first_run, tmp_path):
    config = parse("--mode=probe", f"--from_run={first_run('bbn')}", *arguments.split())
    run = RunFolder(tmp_path / "second")
    run.prepare(config.settings(), overwrite=False)
    assert parse(f"--flagfile={run.flags_file}").settings() == config.settings()
    assert parse("--mode=evaluate", f"--model_dir={run.path}").settings() == config.settings()


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("bbn", "--backbone=resnet20", "--backbone: has no meaning with --mode=probe"),
        ("bbn", "--augment=none", "--augment: has no meaning with --mode=probe"),
        ("bbn", "--mixup=input", "--mixup: has no meaning with --mode=probe"),
        ("bbn", "--loss=ldam", "--loss=ldam: not in a second stage"),
        ("bbn", "--tau=1", "--tau=1: has no meaning with --classifier=retrain"),
        (
            "bbn",
            "--classifier=tau_norm --epochs=3",
            "--epochs: has no meaning with --classifier=tau_norm",
        ),
        ("bbn", "--classifier=tau_norm --tau=-1", "--tau=-1: must be at least 0"),
        ("bbn", "--classifier=lws --logit_adjustment=1", "--logit_adjustment=1: has no meaning with --classifier=lws"),
        ("plain", "--branch=both", "--branch=both: only of a BBN"),
        ("second", "--branch=conventional", "--branch=conventional: only of a BBN"),
        (None, "", "--mode=probe: needs --from_run"),
        (None, "--from_run=nowhere", "--from_run=nowhere: not a run folder"),
    ],
)
def test_second_stages_that_mean_nothing_are_refused(model, arguments, message, first_run):
    run = [f"--from_run={first_run(model)}"] if model else []
    with pytest.raises(UserError, match="^" + re.escape(message)):
        parse("--mode=probe", *run, *arguments.split())


@pytest.mark.parametrize(
    "change", ["--seed=4", "--imbalance_seed=3", "--imbalance_factor=20", "--validation_fraction=0.1"]
)
def test_second_stage_holds_out_what_its_run_held_out(change, tmp_path):
    """Or it would be evaluated on images that the representation was trained on."""
    RunFolder(tmp_path / "run").prepare(Config(validation_fraction=0.2).settings(), overwrite=False)
    command = ["--mode=probe", f"--from_run={tmp_path / 'run'}"]
    assert parse(*command).validation_fraction == 0.2
    with pytest.raises(UserError, match=f"{change.split('=')[0]}=.*: must be that of --from_run, or"):
        parse(*command, change)
    assert parse(*command, "--dataset=cifar10_lt", change).dataset == "cifar10_lt"  # other images altogether


def test_second_stage_on_what_its_run_did_not_set(tmp_path):
    """What has no default is not in flags.txt: a factor of TFDS data, how one tree of photos is split."""
    first = {"dataset": "tfds", "tfds_name": "x"}
    RunFolder(tmp_path / "held").prepare(Config(**first, validation_fraction=0.2).settings(), overwrite=False)
    with pytest.raises(UserError, match="^--imbalance_factor=10: must be that of --from_run, or"):
        parse("--mode=probe", f"--from_run={tmp_path / 'held'}", "--imbalance_factor=10")
    RunFolder(tmp_path / "all").prepare(Config(**first).settings(), overwrite=False)
    command = ["--mode=probe", f"--from_run={tmp_path / 'all'}", "--imbalance_factor=10"]
    assert parse(*command).imbalance_factor == 10
    with pytest.raises(UserError, match="^--imbalance_factor=10: must be that of --from_run with --classifier"):
        parse(*command, "--classifier=logit_adjusted")
    photos = Config(dataset="folder", data_dir=str(tmp_path / "photos"))
    RunFolder(tmp_path / "run").prepare(photos.settings(), overwrite=False)
    command = ["--mode=probe", f"--from_run={tmp_path / 'run'}"]
    for change in ("--test_fraction=0.5", "--split_seed=1"):
        with pytest.raises(UserError, match=f"^{change}: has no effect: the images are divided as --from_run"):
            parse(*command, change)
        assert parse(*command, change, f"--data_dir={tmp_path / 'others'}").data_dir == str(tmp_path / "others")


@pytest.mark.parametrize("classifier", ["tau_norm", "logit_adjusted"])
@pytest.mark.parametrize("change", ["--imbalance_factor=20", "--dataset=cifar10_lt", "--imbalance_profile=step"])
def test_untrained_classifiers_keep_the_data(classifier, change, first_run):
    command = ["--mode=probe", f"--from_run={first_run('bbn')}", f"--classifier={classifier}"]
    with pytest.raises(UserError, match=f"must be that of --from_run with --classifier={classifier}"):
        parse(*command, change)


def test_second_stage_does_not_delete_what_it_begins_with(first_run):
    run = first_run("bbn")
    for folder in (run, run.parent, f"{run}/"):
        with pytest.raises(UserError, match=f"--from_run={run}: must be outside --model_dir"):
            parse("--mode=probe", f"--from_run={run}/", f"--model_dir={folder}", "--overwrite")


@pytest.mark.parametrize("argument", ["--from_run=x", "--classifier=lws", "--branch=both", "--tau=1"])
def test_second_stages_flags_are_refused_elsewhere(argument):
    with pytest.raises(UserError, match=f"^{argument}: has no meaning with --mode=train, only with probe"):
        parse(argument)


def test_settings_in_flags_txt_repeat_the_run(tmp_path):
    config = Config(dataset="cifar10_lt", imbalance_factor=12.5, lr_milestones=(), deterministic=True, seed=4)
    run = RunFolder(tmp_path / "run")
    run.prepare(config.settings(), overwrite=False)
    assert parse(f"--flagfile={run.flags_file}").settings() == config.settings()


def test_unknown_setting_in_flags_txt(tmp_path):
    RunFolder(tmp_path).prepare({"colour": "blue"}, overwrite=False)
    with pytest.raises(UserError, match="damaged, unknown setting 'colour'"):
        parse("--mode=evaluate", f"--model_dir={tmp_path}")


@pytest.mark.parametrize("mode", ["evaluate", "export", "probe"])
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("dataset=digits", "--dataset=digits: must be one of digits_lt, cifar10_lt, "),
        ("sampler=reverse", "--sampler=reverse: must be one of uniform, balanced, reversed"),
        ("epochs=many", "--epochs=many: must be int"),
        (
            "backbone=xyz",
            "--backbone=xyz: unknown; --help lists all; one of your own must be registered "
            "(bbn_tf.register_backbone) by the script that you start",
        ),
    ],
)
def test_a_run_of_unknown_choices_costs_one_line(setting, message, mode, tmp_path):
    name, _, value = setting.partition("=")
    RunFolder(tmp_path).prepare({**Config().settings(), name: value}, overwrite=False)
    with pytest.raises(UserError) as caught:
        parse(f"--mode={mode}", f"--{'from_run' if mode == 'probe' else 'model_dir'}={tmp_path}")
    assert str(caught.value).startswith(f"{tmp_path}/flags.txt: {message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dataset", "mode", "backbone", "freeze"])
def test_an_unknown_choice_is_named_before_anything_goes_by_it(name):
    with pytest.raises(UserError, match=f"^--{name}=x: (must be one of|unknown)"):
        Config(**{name: "x"})


def test_a_second_stage_on_other_data_leaves_the_photos_folder_behind(tmp_path):
    first = Config(dataset="folder", data_dir=str(tmp_path / "photos"), image_size=16)
    RunFolder(tmp_path / "run").prepare(first.settings(), overwrite=False)
    command = ["--mode=probe", f"--from_run={tmp_path / 'run'}"]
    assert (parse(*command).data_dir, parse(*command).image_size) == (str(tmp_path / "photos"), 16)
    other = parse(*command, "--dataset=tfds", "--tfds_name=x")
    assert (other.data_dir, other.image_size) == (None, 16)
    with pytest.raises(UserError, match="^--dataset=tfds: needs --tfds_name, NAME"):
        parse(*command, "--dataset=tfds")


def test_default_folder_names_the_augmentation():
    names = {name: Config(augment=name).model_dir for name in ("basic", "autoaugment_cutout")}
    assert "basic" not in names["basic"] and "_augment-autoaugment_cutout_" in names["autoaugment_cutout"]


NO_TRAINING = {"tau_norm", "logit_adjusted_post_hoc"}  # of them another optimizer is refused
METHODS = [path.stem for path in FLAG_FILES if path.stem not in {*NO_TRAINING, *DATA_FILES}]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_file_composes_with_another_optimizer_and_schedule(method, first_run, capsys):
    text = pathlib.Path(f"flags/{method}.flags").read_text()
    first = [f"--from_run={first_run('bbn')}"] if "probe" in text or "crt" in text else []
    config = parse(f"--flagfile=flags/{method}.flags", *first, "--optimizer=adamw", "--lr_schedule=cosine")
    assert (config.optimizer, config.lr_schedule) == ("adamw", "cosine")
    assert config.momentum is config.nesterov is config.lr_milestones is config.lr_factor is None
    said = capsys.readouterr().out
    sets_steps = re.search("^--lr_factor", text, re.M) or "inaturalist" in method or method == "lws"
    assert ("of the flag files left out" in said) == bool(sets_steps), said


def test_what_a_file_sets_for_two_choices_is_left_out_with_the_one_replaced(capsys):
    """`logit_adjustment` belongs to a loss and to a classifier of second stages."""
    config = parse("--flagfile=flags/logit_adjusted.flags", "--loss=focal")
    assert (config.loss, config.logit_adjustment) == ("focal", None)
    assert "left out, not made for --loss=focal; give your own" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "settings", "left_out"),
    [
        ("inaturalist_1x", ("sgd", 0.05, 1e-4), ""),
        ("inaturalist_1x --optimizer=sgd", ("sgd", 0.05, 1e-4), ""),
        ("inaturalist_1x --optimizer=adamw", ("adamw", 1e-3, 0.05), "--learning_rate=0.05 --weight_decay=0.0001"),
        ("inaturalist_1x --optimizer=adamw --learning_rate=0.05", ("adamw", 0.05, 0.05), "--weight_decay=0.0001"),
        ("finetune", ("adamw", 1e-3, 0.05), ""),
        ("finetune --optimizer=adamw --weight_decay=1e-4", ("adamw", 1e-3, 1e-4), ""),
        ("finetune --optimizer=sgd", ("sgd", 0.1, 2e-4), "--learning_rate=0.001"),
    ],
)
def test_a_rate_made_for_another_optimizer_is_left_out(arguments, settings, left_out, capsys):
    file, *own = arguments.split()
    config = parse(f"--flagfile=flags/{file}.flags", *own)
    assert (config.optimizer, config.learning_rate, config.weight_decay) == settings
    note = f"note: {left_out} of the flag files left out, not made for --optimizer={settings[0]}; give your own, or the"
    assert capsys.readouterr().out.startswith(note) if left_out else not capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "own", "sampler"),
    [
        ("bbn", "--model=plain", "uniform"),
        ("bbn_finetune", "--model=plain", "uniform"),
        ("ce", "--model=bbn", "reversed"),
        ("rs", "--model=bbn", "reversed"),
        ("rs", "--model=plain", "balanced"),  # as in the file
        ("own", "--model=plain", "balanced"),  # of no model
        ("bbn", "--model=plain --sampler=reversed", "reversed"),
    ],
)
def test_a_sampler_made_for_the_other_model_is_left_out(file, own, sampler, tmp_path, capsys):
    (tmp_path / "own.flags").write_text("--sampler=balanced\n")
    folder = tmp_path if file == "own" else "flags"
    config = parse(f"--flagfile={folder}/{file}.flags", *own.split())
    assert (config.model, config.sampler) == (own.split()[0].removeprefix("--model="), sampler)
    is_left_out = sampler != "balanced" and "--sampler" not in own
    assert ("--sampler=" in capsys.readouterr().out) == is_left_out


def test_the_choice_that_a_setting_belongs_to_is_named_as_the_mode_has_it():
    with pytest.raises(UserError, match="^--logit_adjustment=2: .* with --loss=ce, only with logit_adjusted$"):
        parse("--model=plain", "--logit_adjustment=2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--optimizer=adamw --momentum=0.9", "--momentum=0.9: has no meaning with --optimizer=adamw, only with sgd"),
        ("--optimizer=adamw --nonesterov", "--nesterov=False: has no meaning with --optimizer=adamw, only with sgd"),
        ("--lr_schedule=cosine --lr_milestones=1", "--lr_milestones=1: has no meaning with --lr_schedule=cosine"),
        (
            "--lr_schedule=cosine --lr_factor=0.1",
            "--lr_factor=0.1: has no meaning with --lr_schedule=cosine, only with",
        ),
        ("--warmup_start=1.5", "--warmup_start=1.5: must be from 0 to 1"),
        (
            "--model=plain --mixup=input --global_batch_size=33",
            "--global_batch_size=33: mixup needs an even number",
        ),
    ],
)
def test_what_a_person_gives_without_a_meaning_is_refused(arguments, message):
    with pytest.raises(UserError, match="^" + re.escape(message)):
        parse("--flagfile=flags/bbn.flags", *arguments.split())


def test_ldams_schedule_comes_after_a_methods_file():
    files = [f"--flagfile=flags/{name}.flags" for name in ("cifar100_lt", "ldam_drw", "ldam_schedule")]
    config = parse(*files, "--deferred_epoch=160")
    assert (config.loss, config.nesterov, config.lr_milestones, config.lr_factor) == ("ldam", False, (160, 180), 0.01)
    rate = build.learning_rate(config)
    by_code = [0.1 * (e + 1) / 5 if e < 5 else 0.1 * 0.01 ** ((e >= 160) + (e >= 180)) for e in range(200)]
    assert [rate(epoch) for epoch in range(200)] == pytest.approx(by_code)
