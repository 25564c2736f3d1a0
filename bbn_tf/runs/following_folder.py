"""The run folder of the hosts that follow host 0: nothing is written or read."""

import contextlib

from bbn_tf.runs.folder import RunFolder


class FollowingFolder(RunFolder):
    """Stands in for a `RunFolder` on every host but the first, which reads and writes for all.

    Args:
        path: of the run's folder; it need not exist.
        host_index: of this process.
    """

    writes = False

    def __init__(self, path, host_index):
        super().__init__(path)
        self.host_index = host_index

    @property
    def title(self):
        return f"host {self.host_index}"

    def locked(self):
        return contextlib.nullcontext()

    def prepare(self, settings, overwrite, defaults=None):
        pass

    def check(self, settings, overwrite, defaults=None, ignore=()):
        pass

    def is_finished(self):
        return False

    def newest_checkpoint(self, read):
        return 0, None

    def save_model(self, save):
        pass

    def write_metrics(self, content):
        pass

    def time_starts(self, seconds=None):
        return [0.0]
