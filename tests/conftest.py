"""Four logical CPU devices, so that MirroredStrategy is tested anywhere; set before TensorFlow starts."""

import functools
import gc
import os
import tempfile

import bbn_tf.__main__  # noqa: F401  (sets TensorFlow's environment before its import)

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest

from tests import tiny

LONGEST = (  # files, which begin first, so that no process is left with a long one at the end
    "test_methods.py",
    "test_hosts.py",
    "test_train.py",
    "test_every_flag.py",
    "test_keras_networks.py",
    "test_run_images.py",
    "test_published.py",
    "test_second_stage.py",
    "test_export.py",
    "test_resume.py",
    "test_keras_backbones.py",
    "test_sweep.py",
    "test_datasets.py",
    "test_list_runs.py",
    "test_tfds_records.py",
    "test_init_from.py",
    "test_surroundings.py",
)


def pytest_configure(config):
    """Processes are given the files in their order, not those of many tests first, which are mostly the short ones.

    What one of them compiles with JAX, the others need not compile again.
    """
    config.option.loadscopereorder = False
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        compiled = tempfile.TemporaryDirectory(prefix="compiled_")
        config.add_cleanup(compiled.cleanup)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):  # not in pytest-xdist's controller
        set_up_tensorflow()


def set_up_tensorflow():
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
    )
    tiny.optimise(False)
    make_strategy = tf.distribute.MirroredStrategy.__init__

    def with_keys_of_its_own(strategy, *args, **kwargs):
        """A real run has one strategy a process; here each needs numbers of its own for its collective operations."""
        tf.distribute.MirroredStrategy._collective_key_base += 1000
        make_strategy(strategy, *args, **kwargs)

    tf.distribute.MirroredStrategy.__init__ = with_keys_of_its_own
    remember()


def remember():
    """Keeps what each call would compute again, with the same result."""
    from keras.src.saving import saving_lib

    from bbn_tf.data import small_sets

    saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)
    digits = functools.cache(small_sets.digits)

    def unchanged(data_dir=None):
        for array in (kept := digits()).__dict__.values():
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        return kept

    small_sets.digits = unchanged


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))


def pytest_collection_finish():
    """What has been imported is no garbage: to look through it again and again takes a tenth of a short training."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def default_strategy():
    """On one device, TensorFlow's default strategy, which saves a fifth of a training of seconds; see `mirrored`."""
    import tensorflow as tf

    from bbn_tf.modes import build

    mirrored, default = build._mirrored, tf.distribute.get_strategy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_mirrored", lambda devices: mirrored(devices) if devices[1:] else default)
        yield mirrored


@pytest.fixture(scope="module")
def mirrored(default_strategy):
    """For files about training: MirroredStrategy on one device too, as in the program."""
    from bbn_tf.modes import build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_mirrored", default_strategy)
        yield


@pytest.fixture(scope="module")
def without_summaries():
    """For files whose tests do not look at what TensorBoard shows, which costs as much time as a short training."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.without_summaries(patch)
        yield


@pytest.fixture
def optimised():
    """For a test whose computations take longer than to optimise them."""
    tiny.optimise(True)
    yield
    tiny.optimise(False)


@pytest.fixture
def make_config(tmp_path):
    """`Config` of a run of seconds on the digits, in a folder of its own; keyword arguments override."""
    from bbn_tf.config import Config

    def make(**settings):
        tiny = {
            "dataset": "digits_lt",
            "backbone": "tiny",
            "epochs": 3,
            "lr_milestones": (2,),
            "warmup_epochs": 1,
            "eval_every": 0,
            "global_batch_size": 32,
            "num_devices": 1,
            "model_dir": str(tmp_path / "run"),
        }
        return Config(**{**tiny, **settings})

    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Function (**settings) -> `Config` of a finished run on the digits, made in a second: it was not trained."""
    import functools

    import keras

    from bbn_tf.config import Config
    from bbn_tf.modes import build, train
    from bbn_tf.runs.folder import RunFolder
    from bbn_tf.training import evaluation as evaluate

    @functools.cache
    def make(**settings):
        folder = str(tmp_path_factory.mktemp("run") / "run")
        short = {"backbone": "tiny", "epochs": 1, "lr_milestones": (), "warmup_epochs": 0, "model_dir": folder}
        config = Config(**{**short, **settings})
        run, dataset = RunFolder(folder), build.dataset(config)
        run.prepare(config.settings(), overwrite=False)
        keras.utils.set_random_seed(0)
        model = build.model(config, dataset)
        images = dataset.train_items[:64] / 100.0
        model((images, images) if config.model == "bbn" else images, training=True)  # moves BatchNorm's statistics
        if config.model == "bbn":
            model.alpha.assign(0.1)  # as some epoch may leave it: inference must not look at it
        model.save(run.model_file)
        run.write_metrics(train.metrics(config, dataset, evaluate.Evaluator(model, dataset)(), starts=[1.0]))
        return config

    return make
