"""A mixture density network (Bishop, 1994) on the inverse of a wave, and points drawn from it."""

import math

import torch
import torch.nn as nn

torch.manual_seed(8)
losses = []
checks = {}
N, HIDDEN, EPOCHS = 200, 20, 50
ONE_DIV_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)


class MDN(nn.Module):
    def __init__(self, n_hidden, n_gaussians):
        super().__init__()
        self.z_h = nn.Sequential(nn.Linear(1, n_hidden), nn.Tanh())
        self.z_pi = nn.Linear(n_hidden, n_gaussians)
        self.z_mu = nn.Linear(n_hidden, n_gaussians)
        self.z_sigma = nn.Linear(n_hidden, n_gaussians)

    def forward(self, x):
        z_h = self.z_h(x)
        pi = nn.functional.softmax(self.z_pi(z_h), -1)
        mu = self.z_mu(z_h)
        sigma = torch.exp(self.z_sigma(z_h))
        return pi, mu, sigma


def gaussian_distribution(y, mu, sigma):
    result = (y.expand_as(mu) - mu) * torch.reciprocal(sigma)
    result = -0.5 * (result * result)
    return (torch.exp(result) * torch.reciprocal(sigma)) * ONE_DIV_SQRT_TWO_PI


def mdn_loss_fn(pi, mu, sigma, y):
    result = gaussian_distribution(y, mu, sigma) * pi
    result = torch.sum(result, dim=1)
    result = -torch.log(result)
    return torch.mean(result)


t = torch.rand(N, 1) * 20 - 10
wave = torch.sin(0.75 * t) * 7.0 + t * 0.5 + torch.randn(N, 1) * 0.5
x, y = wave, t
network = MDN(n_hidden=HIDDEN, n_gaussians=5)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
for epoch in range(EPOCHS):
    pi, mu, sigma = network(x)
    loss = mdn_loss_fn(pi, mu, sigma, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if epoch % 10 == 0:
        print(epoch, round(loss.item(), 2))

with torch.no_grad():
    pi, mu, sigma = network(torch.linspace(-12, 12, 9).unsqueeze(1))
    component = torch.multinomial(pi, 1)
    drawn = torch.normal(mu.gather(1, component), sigma.gather(1, component))
print("components", component.flatten().tolist())
checks["drawn"] = drawn.flatten().tolist()
