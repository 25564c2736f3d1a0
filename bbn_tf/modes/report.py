"""--mode=report: tables and pictures of finished runs."""

from bbn_tf.modes.sweep import check_plan, read_plan
from bbn_tf.runs.plan import FoundRuns
from bbn_tf.runs.report import report


def run(config):
    """Writes and prints the report of a plan, or of all runs below a folder."""
    if not config.plan:
        print(report(FoundRuns(config.model_dir)))
        return
    plan = read_plan(config)
    check_plan(plan, to_run=False)
    print(report(plan))
