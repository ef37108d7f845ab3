"""PyTorch's side of the bench: one JSON command a line in, one JSON answer a line out."""

import json
import sys
import time

import torch
import torch.nn as nn


def mlp():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = torch.rand(32, 784), torch.randint(0, 10, (32,))
    return supervised(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.01), x, y)


def supervised(model, criterion, optimizer, x, y):
    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, step


WORKLOADS = {"mlp": mlp}


def main():
    model = step = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "open":
            model, step = WORKLOADS[command["name"]]()
            answer = {"version": torch.__version__}
        elif command["do"] == "steps":
            answer = {"losses": [step() for _ in range(command["count"])]}
        elif command["do"] == "window":
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < command["seconds"]:
                step()
                count += 1
            answer = {"stepsPerSecond": count / (time.perf_counter() - start)}
        elif command["do"] == "weights":
            answer = {"weights": {k: v.flatten().tolist() for k, v in model.state_dict().items()}}
        else:
            answer = {"error": "unknown command"}
        print(json.dumps(answer), flush=True)


main()
