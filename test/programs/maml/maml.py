"""Model-agnostic meta-learning (Finn et al., 2017) of sines: two inner steps, second-order gradients."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(11)
losses = []
checks = {}
TASKS, ITERATIONS = 3, 12


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(1, 40)
        self.fc2 = nn.Linear(40, 40)
        self.fc3 = nn.Linear(40, 1)

    def forward(self, x, params=None):
        if params is None:
            params = list(self.parameters())
        x = F.relu(F.linear(x, params[0], params[1]))
        x = F.relu(F.linear(x, params[2], params[3]))
        return F.linear(x, params[4], params[5])


def sample_task():
    amplitude = torch.rand(1).item() * 4.9 + 0.1
    phase = torch.rand(1).item() * math.pi

    def draw(n):
        x = torch.rand(n, 1) * 10 - 5
        return x, amplitude * torch.sin(x - phase)

    return draw


net = Net()
meta_optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
inner_lr = 0.01
for iteration in range(ITERATIONS):
    meta_loss = 0.0
    for _ in range(TASKS):
        task = sample_task()
        fast = list(net.parameters())
        for _ in range(2):
            x, y = task(10)
            loss = F.mse_loss(net(x, fast), y)
            grads = torch.autograd.grad(loss, fast, create_graph=True)
            fast = [p - inner_lr * g for p, g in zip(fast, grads)]
        x, y = task(10)
        meta_loss = meta_loss + F.mse_loss(net(x, fast), y)
    meta_loss = meta_loss / TASKS
    meta_optimizer.zero_grad()
    meta_loss.backward()
    meta_optimizer.step()
    losses.append(meta_loss.item())
    if iteration % 4 == 3:
        print(f"iteration {iteration + 1}: meta-loss {meta_loss.item():.3f}")
checks["norms"] = [p.grad.norm().item() for p in net.parameters()]
