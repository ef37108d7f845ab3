"""Denoising diffusion (Ho et al., 2020) of points on a spiral: training, then sampling step by step."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
losses = []
checks = {}
T = 20
BETA_END = 0.2
HIDDEN, EMBEDDING = 48, 16
N_POINTS, BATCH, STEPS, N_SAMPLES = 256, 64, 40, 8


class SinusoidalEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, t):
        half = self.dim // 2
        frequencies = torch.exp(torch.arange(half) * -(math.log(10000) / (half - 1)))
        angles = t.float().unsqueeze(-1) * frequencies.unsqueeze(0)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class Denoiser(nn.Module):
    def __init__(self, hidden=HIDDEN, embedding=EMBEDDING):
        super().__init__()
        self.time = nn.Sequential(SinusoidalEmbedding(embedding), nn.Linear(embedding, hidden), nn.SiLU())
        self.inp = nn.Linear(2, hidden)
        self.blocks = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(hidden) for _ in range(2)])
        self.out = nn.Linear(hidden, 2)

    def forward(self, x, t):
        h = self.inp(x) + self.time(t)
        for norm, block in zip(self.norms, self.blocks):
            h = h + F.gelu(block(norm(h)))
        return self.out(h)


betas = torch.linspace(1e-4, BETA_END, T)
alphas = 1.0 - betas
alphas_cumprod = torch.cumprod(alphas, dim=0)
alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)


def extract(a, t, x):
    return a.gather(-1, t).reshape(t.shape[0], *((1,) * (len(x.shape) - 1)))


def q_sample(x0, t, noise):
    return extract(alphas_cumprod.sqrt(), t, x0) * x0 + extract((1 - alphas_cumprod).sqrt(), t, x0) * noise


angle = torch.rand(N_POINTS) * 3 * math.pi
points = torch.stack([angle * torch.cos(angle), angle * torch.sin(angle)], dim=1) / 6
points = points + torch.randn_like(points) * 0.02
model = Denoiser()
ema = Denoiser()
ema.load_state_dict(model.state_dict())
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(STEPS):
    x0 = points[torch.randint(0, len(points), (BATCH,))]
    t = torch.randint(0, T, (BATCH,))
    noise = torch.randn_like(x0)
    loss = F.mse_loss(model(q_sample(x0, t, noise), t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for p, q in zip(ema.parameters(), model.parameters()):
            p.mul_(0.9).add_(q, alpha=0.1)
    losses.append(loss.item())
    if (step + 1) % 10 == 0:
        print(f"step {step + 1}: loss {loss.item():.2f}")


@torch.no_grad()
def sample(n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i, dtype=torch.long)
        predicted = ema(x, t)
        mean = (x - betas[i] / (1 - alphas_cumprod[i]).sqrt() * predicted) / alphas[i].sqrt()
        x = mean + (posterior_variance[i].sqrt() * torch.randn_like(x) if i > 0 else 0)
    return x


samples = sample(N_SAMPLES)
checks["samples"] = samples.flatten().tolist()
