"""PyTorch's side of the bench: one JSON command a line in, one JSON answer a line out."""

import json
import resource
import sys
import time

import torch
import torch._dynamo
import torch.nn as nn
import torch.nn.functional as F


# `torchWorker.py compile`: steps that are compiled whole.
COMPILE = "compile" in sys.argv[1:]
if COMPILE:
    # LSTMs are left as they are unless this asks for them.
    torch._dynamo.config.allow_rnn = True


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(16 * 14 * 14, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv(x)))
        return self.fc(x.view(x.size(0), -1))


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
    return supervised(model, torch.randn(100, 10), torch.randint(0, 2, (100,)))


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
    return supervised(CNN(), torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,)))


def recurrent(kind, inputs, hidden, steps):
    def make():
        model = Recurrent(kind, inputs, hidden)
        return supervised(model, torch.randn(32, steps, inputs), torch.randint(0, 2, (32,)))

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


def compiled_adam(params, lr):
    """Adam as one compiled function of the gradients."""
    m, v = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    count = torch.zeros(())

    @torch.compile
    @torch.no_grad()
    def update(grads):
        count.add_(1)
        c1, c2 = 1 - 0.9**count, torch.sqrt(1 - 0.999**count)
        for p, g, a, b in zip(params, grads, m, v):
            a.lerp_(g, 0.1)
            b.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(lr / c1 * a / (torch.sqrt(b) / c2 + 1e-8))

    return update


def compiled_gradients(params, loss):
    """Loss and gradients as one compiled function."""

    def both(*args):
        value = loss(*args)
        return value, torch.autograd.grad(value, params)

    return torch.compile(both)


def compiled(model, x, y, criterion):
    params = list(model.parameters())
    gradients = compiled_gradients(params, lambda: criterion(model(x), y))
    update = compiled_adam(params, 1e-3)

    def step():
        loss, grads = gradients()
        update(grads)
        return loss.item()

    return step


def supervised(model, x, y, criterion=None, optimizer=None):
    criterion = criterion or nn.CrossEntropyLoss()
    if COMPILE:
        return compiled(model, x, y, criterion)
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

        def loss_of_d(fake):
            return criterion(discriminator(real), ones) + criterion(discriminator(fake), zeros)

        gradients_d = compiled_gradients(of_d, loss_of_d)
        gradients_g = compiled_gradients(of_g, lambda z: criterion(discriminator(generator(z)), ones))
        update_g, update_d = compiled_adam(of_g, 2e-4), compiled_adam(of_d, 2e-4)
        generate = torch.compile(lambda z: generator(z).detach())

        def compiled_step():
            z = torch.randn(64, 100)
            loss_d, grads = gradients_d(generate(z))
            update_d(grads)
            loss_g, grads = gradients_g(z)
            update_g(grads)
            return (loss_d + loss_g).item()

        return compiled_step

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
    "rnn": recurrent(nn.RNN, 10, 5, 20),
    "lstm-5": recurrent(nn.LSTM, 10, 5, 20),
    "lstm-128": recurrent(nn.LSTM, 32, 128, 50),
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
