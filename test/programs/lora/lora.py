"""Low-rank adaptation (Hu et al., 2021): a trained network is frozen and adapted by small matrices."""

import math

import torch
import torch.nn as nn

torch.manual_seed(9)
losses = []
checks = {}
N, FEATURES, HIDDEN, RANK, STEPS = 64, 12, 32, 2, 20


class LoRALinear(nn.Module):
    def __init__(self, base, rank=4, alpha=8.0, dropout=0.0):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad = False
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scaling = alpha / rank
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.base(x) + (self.dropout(x) @ self.lora_A.T @ self.lora_B.T) * self.scaling

    @torch.no_grad()
    def merge(self):
        self.base.weight += (self.lora_B @ self.lora_A) * self.scaling
        return self.base


def replace_linears(module, rank):
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, LoRALinear(child, rank=rank))
        else:
            replace_linears(child, rank)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(FEATURES, HIDDEN)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(HIDDEN, HIDDEN)
        self.head = nn.Sequential(nn.GELU(), nn.Linear(HIDDEN, 3))

    def forward(self, x):
        return self.head(self.fc2(self.act(self.fc1(x))))


def task(shift, n=N):
    x = torch.randn(n, FEATURES)
    return x, (x[:, :3].roll(shift, dims=1) + 0.1 * torch.randn(n, 3)).argmax(1)


def fit(model, x, y, steps, lr):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


model = MLP()
fit(model, *task(0), steps=STEPS, lr=5e-3)
before = model.fc1.weight.detach().clone()
replace_linears(model, rank=RANK)
print(model)
trainable = [name for name, p in model.named_parameters() if p.requires_grad]
print(trainable)
x, y = task(1)
fit(model, x, y, steps=STEPS, lr=1e-2)
print("frozen", torch.equal(before, model.fc1.base.weight))
adapted = model(x)
merged = MLP()
merged.fc1, merged.fc2 = model.fc1.merge(), model.fc2.merge()
merged.head[1] = model.head[1].merge()
print("merged", torch.allclose(adapted, merged(x), atol=1e-5))
lora_state = {k: v for k, v in model.state_dict().items() if "lora_" in k}
for k, v in lora_state.items():
    checks[k] = [v.norm().item()]
    print(k, tuple(v.shape))
