"""Differentially private SGD (Abadi et al., 2016): the gradient of every sample, by vmap, is clipped and noised."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call, grad, grad_and_value, vmap

torch.manual_seed(23)
losses = []
checks = {}
FEATURES, HIDDEN, N, STEPS = 6, 12, 24, 15


class SimpleMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(FEATURES, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, 3)

    def forward(self, x):
        return self.fc2(torch.tanh(self.norm(self.fc1(x))))


model = SimpleMLP()
x = torch.randn(N, FEATURES)
y = x[:, :3].argmax(1)
params = {k: v.detach() for k, v in model.named_parameters()}


def compute_loss(params, sample, target):
    batch = sample.unsqueeze(0)
    targets = target.unsqueeze(0)
    predictions = functional_call(model, params, (batch,))
    return F.cross_entropy(predictions, targets)


ft_compute_sample_grad = vmap(grad_and_value(compute_loss), in_dims=(None, 0, 0))
for step in range(STEPS):
    per_sample, value = ft_compute_sample_grad(params, x, y)
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in per_sample.values()]).norm(dim=0)
    factor = (1.0 / (norms + 1e-6)).clamp(max=1.0)
    for k, g in per_sample.items():
        clipped = torch.einsum("b,b...->...", factor, g)
        noise = torch.randn_like(clipped) * 0.1
        params[k] = params[k] - 0.5 * (clipped + noise) / len(x)
    losses.append(value.mean().item())
checks["norms"] = norms[:6].tolist()
one = grad(compute_loss)(params, x[0], y[0])
print("equal", torch.allclose(vmap(grad(compute_loss), (None, 0, 0))(params, x, y)["fc1.weight"][0], one["fc1.weight"], atol=1e-6))
