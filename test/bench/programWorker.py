"""Runs a program with PyTorch as its users do, and writes its losses with the time of each.

programWorker.py PROGRAM OUTPUT
"""

import json
import resource
import runpy
import sys
import time

import torch
import torch._dynamo  # noqa: F401  (imported by the first optimizer: a second that isn't the program's)


class RecordedLosses(list):
    """A list that notes when each of its values came."""

    def __init__(self):
        super().__init__()
        self.times = []

    def append(self, value):
        super().append(value)
        self.times.append(time.perf_counter())

    def extend(self, values):
        for value in values:
            self.append(value)

    def __iadd__(self, values):
        self.extend(values)
        return self


def main(program, output):
    losses = RecordedLosses()
    started = time.perf_counter()
    runpy.run_path(program, init_globals={"recorded_losses": losses}, run_name="__main__")
    ended = time.perf_counter()
    result = {
        "losses": [float(value) for value in losses],
        "times": [1000 * (at - started) for at in losses.times],
        "total": 1000 * (ended - started),
        "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": torch.__version__.split("+")[0],
    }
    with open(output, "w") as file:
        json.dump(result, file)


main(*sys.argv[1:])
