"""MLP-Mixer (Tolstikhin et al., 2021) with stochastic depth, mixup and a moving average of the weights."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(17)
losses = []
checks = {}
N, SIZE, PATCH, DIM, DEPTH, BATCH, STEPS = 30, 8, 2, 16, 2, 16, 20


class DropPath(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0.0:
            return x
        keep = 1 - self.p
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask.div_(keep)

    def extra_repr(self):
        return f"p={self.p}"


class MlpBlock(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, dim))

    def forward(self, x):
        return self.net(x)


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim, drop):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.token_mix = MlpBlock(tokens, 2 * tokens)
        self.norm2 = nn.LayerNorm(dim)
        self.channel_mix = MlpBlock(dim, 2 * dim)
        self.drop_path = DropPath(drop)

    def forward(self, x):
        y = self.norm1(x).transpose(1, 2)
        x = x + self.drop_path(self.token_mix(y).transpose(1, 2))
        return x + self.drop_path(self.channel_mix(self.norm2(x)))


class Mixer(nn.Module):
    def __init__(self, image=SIZE, patch=PATCH, dim=DIM, depth=DEPTH, classes=3):
        super().__init__()
        self.embed = nn.Conv2d(1, dim, kernel_size=patch, stride=patch)
        rates = torch.linspace(0, 0.2, depth).tolist()
        self.blocks = nn.Sequential(*[MixerBlock((image // patch) ** 2, dim, round(r, 2)) for r in rates])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = self.norm(self.blocks(x))
        return self.head(x.mean(dim=1))


y = torch.arange(N) % 3
x = torch.randn(N, 1, SIZE, SIZE) * 0.5
x[y == 0, :, :4] += 1
x[y == 1, :, :, :4] += 1
model = Mixer()
print(model)
averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05)
for step in range(STEPS):
    index = torch.randperm(N)[:BATCH]
    lam = torch.rand(1).item()
    shuffled = index[torch.randperm(BATCH)]
    mixed = lam * x[index] + (1 - lam) * x[shuffled]
    target = lam * F.one_hot(y[index], 3).float() + (1 - lam) * F.one_hot(y[shuffled], 3).float()
    loss = F.cross_entropy(model(mixed), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    averaged.update_parameters(model)
    losses.append(loss.item())
averaged.eval()
with torch.no_grad():
    checks["logits"] = averaged(x[:4]).flatten().tolist()
print("averaged", averaged.n_averaged.item())
