"""PyTorch's side of "npm run bench -- --functions": one case a line in, its times in milliseconds out."""

import json
import sys
import time

import torch
import torch.nn.functional as F

NAMESPACES = {"F": F, "linalg": torch.linalg, "fft": torch.fft, "special": torch.special}


def tensor(kind, shape, high=None):
    if kind == "f":
        return torch.randn(shape)
    if kind == "p":
        return torch.rand(shape)
    if kind == "u":
        return torch.rand(shape) + 0.1
    if kind == "v":
        return torch.rand(shape) + 1.1
    if kind == "g":
        return torch.rand(shape) * 2 - 1
    if kind == "s":
        return torch.randn(shape).sort().values
    if kind == "e":
        size = shape[-1]
        root = torch.randn(shape if len(shape) > 1 else [size, size])
        return root @ root.mT / size + torch.eye(size)
    if kind == "o":
        return torch.ones(shape)
    if kind == "z":
        return torch.zeros(shape)
    if kind == "b":
        return torch.rand(shape) > 0.5
    if kind == "l":
        return torch.randn(shape).log_softmax(-1)
    if kind == "i":
        return torch.randint(0, high, shape)
    if kind == "n":
        return torch.full(shape, high)
    if kind == "r":
        return torch.randperm(shape[0])
    raise ValueError(kind)


def value(given):
    if isinstance(given, dict):
        return tensor(**given["tensor"])
    if isinstance(given, list):
        return tuple(value(one) for one in given)
    return given


def first(result):
    return result if isinstance(result, torch.Tensor) else first(result[0]) if isinstance(result, (tuple, list)) else None


def total(out):
    return (torch.view_as_real(out) if out.is_complex() else out).sum()


def timed(call, seconds):
    start = time.perf_counter()
    for _ in range(3):
        call()
    # A call that takes long needs no more.
    if time.perf_counter() - start > 10 * seconds:
        return 1000 * (time.perf_counter() - start) / 3
    while time.perf_counter() - start < seconds:
        call()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        call()
        count += 1
    return 1000 * (time.perf_counter() - start) / count


def measure(command):
    name = command["name"].split(".")
    function = getattr(NAMESPACES[name[0]] if len(name) == 2 else torch, name[-1])
    args, options = [value(one) for one in command["args"]], command["options"]

    def forward():
        out = first(function(*args, **options))
        return out if out is None else total(out).item()

    forward_ms = timed(forward, command["seconds"])
    inputs = [one for one in args if isinstance(one, torch.Tensor) and one.is_floating_point()]
    for one in inputs:
        one.requires_grad_()

    def backward():
        for one in inputs:
            one.grad = None
        loss = total(first(function(*args, **options)))
        loss.backward()
        for one in inputs:
            if one.grad is not None:
                one.grad.reshape(-1)[0].item()
        return loss.item()

    try:
        if len(inputs) == 0:
            raise RuntimeError
        backward()
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):
        return {"forward": forward_ms, "backward": None}
    return {"forward": forward_ms, "backward": timed(backward, command["seconds"])}


for line in sys.stdin:
    try:
        answer = measure(json.loads(line))
    except Exception as error:  # noqa: BLE001  (the other cases are still measured)
        answer = {"error": f"PyTorch: {error}"}
    print(json.dumps(answer), flush=True)
