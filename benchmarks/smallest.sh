#!/usr/bin/env bash
# Runs every benchmark once at its smallest size, two at a time, to see that it runs; the figures mean nothing.
#     benchmarks/smallest.sh .venv/bin/python
set -euo pipefail
python=${1:?"name the Python to run them with, for example .venv/bin/python"}
here=$(dirname "$0")
xargs -P 2 -L 1 "$python" << END
"$here/epoch.py" --variants=plain --backbone=resnet8 --epochs=4 --shrink=50 --seconds=0.01
"$here/inference_cost.py" --backbone=resnet8 --batch_sizes=1 --rounds=1 --seconds=0.01 --goal=inf
"$here/training_step.py" --backbone=resnet8 --rounds=1 --steps=1
"$here/reversed_stream.py" --backbone=resnet8 --factors=5 --seconds=0.01
"$here/augmentation.py" --augments=basic --rounds=1 --seconds=0.01 --step_rate=100
"$here/decoding.py" --rounds=1 --images=1 --limit=inf
"$here/finetune_step.py" --backbones=resnet8 --size=32 --batch_size=2 --rounds=1
"$here/large_index.py" --parts=100 --files=2 --checked=2 --batch_size=4 --seconds=0.01 --lines=100
END
echo "every benchmark ran"
