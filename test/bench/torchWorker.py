"""PyTorch's side of the bench: one JSON command a line in, one JSON answer a line out."""

import json
import resource
import sys
import time

import torch
import torch._dynamo
import torch._inductor.config
import torch.nn as nn
import torch.nn.functional as F


# `torchWorker.py compile`: what torch.compile makes fastest of a workload.
COMPILE = "compile" in sys.argv[1:]
if COMPILE:
    # What takes gradients itself or holds an LSTM is compiled only where these are on.
    torch._dynamo.config.trace_autograd_ops = True
    torch._dynamo.config.allow_rnn = True
    # Kernels are called from C++ instead of from Python.
    torch._inductor.config.cpp_wrapper = True
    torch.set_flush_denormal(True)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(16 * 14 * 14, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv(x)))
        return self.fc(x.flatten(1))


class Recurrent(nn.Module):
    def __init__(self, kind, inputs, hidden):
        super().__init__()
        self.rnn = kind(inputs, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 2)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1, :])


class TextClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 128)
        self.position = nn.Embedding(64, 128)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True), 2)
        self.fc = nn.Linear(128, 4)

    def forward(self, x):
        return self.fc(self.encoder(self.embedding(x) + self.position(torch.arange(64))).mean(1))


def simple():
    model = nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 2))
    return supervised(model, torch.randn(100, 10), torch.randint(0, 2, (100,)), threads=1)


def mlp():
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    return supervised(model, torch.randn(64, 784), torch.randint(0, 10, (64,)))


def mlp_sgd():
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = torch.rand(32, 784), torch.randint(0, 10, (32,))
    return supervised(model, x, y, optimizer=torch.optim.SGD(model.parameters(), lr=0.01))


def cnn():
    model, x, y = CNN(), torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
    if COMPILE:
        # oneDNN's convolutions and the pooling are quicker in this order.
        model, x = (t.to(memory_format=torch.channels_last) for t in (model, x))
    return supervised(model, x, y, whole=False)


def recurrent(kind, inputs, hidden, steps, whole=True, threads=None):
    def make():
        if COMPILE and whole:
            # Else the compiler takes oneDNN's LSTM, which has no gradients.
            torch.backends.mkldnn.set_flags(False)
        model = Recurrent(kind, inputs, hidden)
        x, y = torch.randn(32, steps, inputs), torch.randint(0, 2, (32,))
        return supervised(model, x, y, whole=whole, threads=threads)

    return make


def transformer():
    return supervised(TextClassifier(), torch.randint(0, 1000, (16, 64)), torch.randint(0, 4, (16,)))


def bert_base():
    # Hugging Face's, which draws the same first weights.
    from transformers import BertConfig, BertForSequenceClassification

    model = BertForSequenceClassification(BertConfig(num_labels=2))
    x, y = torch.randint(1, 30522, (8, 128)), torch.randint(0, 2, (8,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    return supervised(lambda ids: model(ids).logits, x, y, optimizer=optimizer)


def autoencoder():
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 784), nn.Sigmoid())
    return supervised(model, torch.rand(64, 784), torch.rand(64, 784), nn.MSELoss())


def adam(params, lr):
    """Adam as a function of the gradients, to be compiled."""
    m, v = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    count = torch.zeros(())

    @torch.no_grad()
    def update(grads):
        count.add_(1)
        c1, c2 = 1 - 0.9**count, torch.sqrt(1 - 0.999**count)
        for p, g, a, b in zip(params, grads, m, v):
            a.lerp_(g, 0.1)
            b.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(lr / c1 * a / (torch.sqrt(b) / c2 + 1e-8))

    return update


def compiled(function):
    # Not being compilable in one piece is an error: falling back costs much more than never compiling.
    return torch.compile(function, fullgraph=True)


def compiled_step(model, x, y, criterion, whole):
    params = list(model.parameters())
    update = adam(params, 1e-3)
    if not whole:
        update = compiled(update)

    def step():
        loss = criterion(model(x), y)
        update(torch.autograd.grad(loss, params))
        return loss.detach()

    if whole:
        step = compiled(step)
    return lambda: step().item()


def supervised(model, x, y, criterion=None, optimizer=None, whole=True, threads=None):
    """A step. Where it is compiled: as a whole or only its Adam, on so many threads, whichever is faster."""
    criterion = criterion or nn.CrossEntropyLoss()
    if COMPILE:
        if threads is not None:
            torch.set_num_threads(threads)
        return compiled_step(model, x, y, criterion, whole)
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def gan():
    generator = nn.Sequential(nn.Linear(100, 784), nn.Tanh())
    discriminator = nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
    g = torch.optim.Adam(generator.parameters(), lr=2e-4)
    d = torch.optim.Adam(discriminator.parameters(), lr=2e-4)
    real, criterion = torch.rand(64, 784), nn.BCEWithLogitsLoss()

    if COMPILE:
        ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
        of_g, of_d = list(generator.parameters()), list(discriminator.parameters())
        update_g, update_d = adam(of_g, 2e-4), adam(of_d, 2e-4)

        @compiled
        def whole(z):
            fake = generator(z)
            loss_d = criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)
            update_d(torch.autograd.grad(loss_d, of_d))
            loss_g = criterion(discriminator(fake), ones)
            update_g(torch.autograd.grad(loss_g, of_g))
            return (loss_d + loss_g).detach()

        return lambda: whole(torch.randn(64, 100)).item()

    def step():
        z = torch.randn(64, 100)
        fake = generator(z)
        d.zero_grad()
        loss_d = criterion(discriminator(real), torch.ones(64, 1)) + criterion(
            discriminator(fake.detach()), torch.zeros(64, 1)
        )
        loss_d.backward()
        d.step()
        g.zero_grad()
        loss_g = criterion(discriminator(fake), torch.ones(64, 1))
        loss_g.backward()
        g.step()
        return (loss_d + loss_g).item()

    return step


WORKLOADS = {
    "simple": simple,
    "mlp": mlp,
    "mlp-sgd": mlp_sgd,
    "cnn": cnn,
    "rnn": recurrent(nn.RNN, 10, 5, 20, threads=1),
    "lstm-5": recurrent(nn.LSTM, 10, 5, 20, threads=1),
    "lstm-128": recurrent(nn.LSTM, 32, 128, 50, whole=False),
    "transformer": transformer,
    "autoencoder": autoencoder,
    "gan": gan,
    "bert-base": bert_base,
}


def main():
    step = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "version":
            answer = {"version": torch.__version__}
        elif command["do"] == "steps":
            torch.manual_seed(0)
            step = WORKLOADS[command["name"]]()
            answer = {"losses": [step() for _ in range(command["count"])]}
        elif command["do"] == "start":
            torch.manual_seed(0)
            step = WORKLOADS[command["name"]]()
            start = time.perf_counter()
            step()
            answer = {"firstStepMs": 1000 * (time.perf_counter() - start)}
        elif command["do"] == "window":
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < command["seconds"]:
                step()
                count += 1
            answer = {"stepsPerSecond": count / (time.perf_counter() - start)}
        elif command["do"] == "peak":
            answer = {"peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        else:
            answer = {"error": "unknown command"}
        print(json.dumps(answer), flush=True)


main()
