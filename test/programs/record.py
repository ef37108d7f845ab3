"""Runs a program with PyTorch and writes its losses, checks and text.

record.py PROGRAM OUTPUT [--noise]

With --noise the program runs again with two threads, and three times with one ulp added to one weight: the differences
say how far PyTorch is from itself. The weight is one of the first, the middle and the last parameter that the program's
first optimizer gets: the first is often an embedding, whose weights hardly matter. Without an optimizer it is one of the
first module that is called, or of the first tensor that backward() reaches.
"""

import contextlib
import io
import json
import math
import os
import runpy
import sys
import time
import warnings

import torch

# Of the parameters, and of the weights in them: some may have no influence, such as an embedding of an unused word.
PLACES = (0.0, 0.5, 1.0)


class OneUlp:
    """Adds one ulp to a weight of a program, once."""

    def __init__(self, place):
        self.place = place
        self.done = None if place is not None else "nothing"

    def change(self, parameter, what):
        if self.done is not None:
            return
        self.done = what
        flat = parameter.data.view(-1) if parameter.is_contiguous() else parameter.data.flatten()
        index = round(self.place * (flat.numel() - 1))
        flat[index] = torch.nextafter(flat[index], torch.full_like(flat[index], math.inf))
        if not parameter.is_contiguous():
            parameter.data.copy_(flat.view(parameter.shape))

    @contextlib.contextmanager
    def installed(self):
        optimizer_init = torch.optim.Optimizer.__init__
        backward = torch.autograd.backward

        def init(optimizer, *args, **kwargs):
            optimizer_init(optimizer, *args, **kwargs)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            place = 0 if self.place is None else round(self.place * (len(parameters) - 1))
            self.change(parameters[place], "first, middle and last parameter of the first optimizer")

        def before_forward(module, _):
            parameter = next(module.parameters(), None)
            if parameter is not None:
                self.change(parameter, "first parameter of the first module")

        def before_backward(tensors, *args, **kwargs):
            leaf = first_leaf(tensors if isinstance(tensors, torch.Tensor) else tensors[0])
            if leaf is not None:
                self.change(leaf, "first leaf that backward() reached")
            return backward(tensors, *args, **kwargs)

        torch.optim.Optimizer.__init__ = init
        torch.autograd.backward = before_backward
        handle = torch.nn.modules.module.register_module_forward_pre_hook(before_forward)
        try:
            yield
        finally:
            handle.remove()
            torch.optim.Optimizer.__init__ = optimizer_init
            torch.autograd.backward = backward


def first_leaf(loss):
    """The first leaf tensor of a graph, breadth first."""
    queue, seen = [loss.grad_fn], set()
    while queue:
        node = queue.pop(0)
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            return node.variable
        queue.extend(function for function, _ in node.next_functions)
    return None


def run(program, threads=None, place=None):
    if threads is not None:
        torch.set_num_threads(threads)
    ulp = OneUlp(place)
    text = io.StringIO()
    with ulp.installed(), contextlib.redirect_stdout(text), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        started = time.perf_counter()
        names = runpy.run_path(program, run_name="__main__")
        seconds = time.perf_counter() - started
    return {
        "losses": [float(x) for x in names["losses"]],
        "checks": {name: [float(x) for x in values] for name, values in names.get("checks", {}).items()},
        "text": text.getvalue().splitlines(),
        "warnings": sorted({f"{w.category.__name__}: {w.message}" for w in warned}),
        "seconds": seconds,
        "weight": ulp.done,
    }


def difference(a, b, what):
    if len(a) != len(b):
        sys.exit(f"{what}: {len(a)} numbers in one run, {len(b)} in another")
    return [abs(x - y) for x, y in zip(a, b)]


def rounded(x):
    """Nine digits tell float32 numbers apart."""
    return float(f"{x:.9g}")


def main(program, output, noise):
    sys.path.insert(0, os.path.dirname(program))
    result = run(program, threads=1 if noise else None)
    steps = [0.0] * len(result["losses"])
    checks = dict.fromkeys(result["checks"], 0.0)
    weight = None
    others = [dict(threads=2)] + [dict(threads=1, place=place) for place in PLACES] if noise else []
    for other in others:
        again = run(program, **other)
        steps = [max(x, y) for x, y in zip(steps, difference(result["losses"], again["losses"], "losses"))]
        for name, values in result["checks"].items():
            distances = difference(values, again["checks"][name], name)
            checks[name] = max([checks[name], *distances])
        if again["text"] != result["text"]:
            pairs = zip(result["text"] + [None], again["text"] + [None])
            first = next(pair for pair in pairs if pair[0] != pair[1])
            sys.exit(f"the text depends on rounding ({other}): {first[0]!r} or {first[1]!r}")
        if "place" in other:
            weight = again["weight"]
    # Differences grow: what a later step may, an earlier one may not.
    largest = 0.0
    for i, step in enumerate(steps):
        largest = max(largest, step)
        steps[i] = float(f"{largest:.2g}")
    result = {
        "torch": torch.__version__.split("+")[0],
        "losses": [rounded(x) for x in result["losses"]],
        "checks": {name: [rounded(x) for x in values] for name, values in result["checks"].items()},
        "text": result["text"],
        "warnings": result["warnings"],
        "seconds": result["seconds"],
        "noise": {"losses": steps, "checks": {name: float(f"{x:.2g}") for name, x in checks.items() if x > 0}},
        "weight": weight,
    }
    with open(output, "w") as file:
        json.dump(result, file)


main(os.path.abspath(sys.argv[1]), sys.argv[2], "--noise" in sys.argv[3:])
