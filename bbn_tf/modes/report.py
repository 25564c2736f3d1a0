"""--mode=report: makes tables and pictures of finished runs."""

from bbn_tf.modes.sweep import check_plan, read_plan
from bbn_tf.runs.found_runs import FoundRuns
from bbn_tf.runs.report import report


def run(config):
    """Writes and prints the report of a plan, or of all runs in a folder."""
    if not config.plan:
        print(report(FoundRuns(config.model_dir)))
        return
    plan = read_plan(config)
    data = [f"--data_dir={config.data_dir}"] if config.data_dir else []
    check_plan(plan, data, to_run=False)
    print(report(plan))
