"""Trains and evaluates BBN and its baselines on long-tailed images.

python main.py --flagfile=flags/cifar10_lt.flags --flagfile=flags/bbn.flags --seed=1
"""

from bbn_tf.__main__ import program

if __name__ == "__main__":
    program()
