"""Mamba (Gu & Dao, 2023): a selective state space model with its scan written as a loop, on selective copying."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(4)
losses = []
checks = {}
D_MODEL, N_LAYER, D_STATE, D_CONV, EXPAND = 16, 2, 4, 4, 2
LENGTH, N_TOKENS, BATCH, STEPS = 12, 4, 8, 24
VOCAB_SIZE = 12
DT_MIN, DT_MAX = 0.001, 0.1
D_INNER = EXPAND * D_MODEL
DT_RANK = math.ceil(D_MODEL / 16)


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class MambaBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj = nn.Linear(D_MODEL, D_INNER * 2, bias=False)
        self.conv1d = nn.Conv1d(
            in_channels=D_INNER,
            out_channels=D_INNER,
            bias=True,
            kernel_size=D_CONV,
            groups=D_INNER,
            padding=D_CONV - 1,
        )
        self.x_proj = nn.Linear(D_INNER, DT_RANK + D_STATE * 2, bias=False)
        self.dt_proj = nn.Linear(DT_RANK, D_INNER, bias=True)
        dt_init_std = DT_RANK**-0.5
        nn.init.uniform_(self.dt_proj.weight, -dt_init_std, dt_init_std)
        dt = torch.exp(torch.rand(D_INNER) * (math.log(DT_MAX) - math.log(DT_MIN)) + math.log(DT_MIN)).clamp(min=1e-4)
        # The inverse of softplus.
        inv_dt = dt + torch.log(-torch.expm1(-dt))
        with torch.no_grad():
            self.dt_proj.bias.copy_(inv_dt)
        A = torch.arange(1, D_STATE + 1, dtype=torch.float32).repeat(D_INNER, 1)
        self.A_log = nn.Parameter(torch.log(A))
        self.D = nn.Parameter(torch.ones(D_INNER))
        self.out_proj = nn.Linear(D_INNER, D_MODEL, bias=False)

    def forward(self, x):
        b, l, d = x.shape
        x_and_res = self.in_proj(x)
        x, res = x_and_res.split(split_size=[D_INNER, D_INNER], dim=-1)
        x = x.transpose(1, 2)
        x = self.conv1d(x)[:, :, :l]
        x = x.transpose(1, 2)
        x = F.silu(x)
        y = self.ssm(x)
        y = y * F.silu(res)
        return self.out_proj(y)

    def ssm(self, x):
        A = -torch.exp(self.A_log.float())
        D = self.D.float()
        x_dbl = self.x_proj(x)
        delta, B, C = x_dbl.split(split_size=[DT_RANK, D_STATE, D_STATE], dim=-1)
        delta = F.softplus(self.dt_proj(delta))
        return self.selective_scan(x, delta, A, B, C, D)

    def selective_scan(self, u, delta, A, B, C, D):
        b, l, d_in = u.shape
        n = A.shape[1]
        deltaA = torch.exp(torch.einsum("bld,dn->bldn", delta, A))
        deltaB_u = torch.einsum("bld,bln,bld->bldn", delta, B, u)
        x = torch.zeros((b, d_in, n), device=deltaA.device)
        ys = []
        for i in range(l):
            x = deltaA[:, i] * x + deltaB_u[:, i]
            y = torch.einsum("bdn,bn->bd", x, C[:, i, :])
            ys.append(y)
        y = torch.stack(ys, dim=1)
        return y + u * D


class ResidualBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.mixer = MambaBlock()
        self.norm = RMSNorm(D_MODEL)

    def forward(self, x):
        return self.mixer(self.norm(x)) + x


class Mamba(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, D_MODEL)
        self.layers = nn.ModuleList([ResidualBlock() for _ in range(N_LAYER)])
        self.norm_f = RMSNorm(D_MODEL)
        self.lm_head = nn.Linear(D_MODEL, VOCAB_SIZE, bias=False)
        self.apply(self._init_weights)
        self.lm_head.weight = self.embedding.weight

    def _init_weights(self, module):
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, input_ids):
        x = self.embedding(input_ids)
        for layer in self.layers:
            x = layer(x)
        x = self.norm_f(x)
        return self.lm_head(x)


NOISE, MARKER = 0, 1


def selective_copying(batch):
    """Tokens among noise, then markers; the answer is the tokens in their order."""
    tokens = torch.randint(2, VOCAB_SIZE, (batch, N_TOKENS))
    places = torch.stack([torch.randperm(LENGTH)[:N_TOKENS] for _ in range(batch)]).sort().values
    x = torch.full((batch, LENGTH), NOISE)
    x.scatter_(1, places, tokens)
    markers = torch.full((batch, N_TOKENS), MARKER)
    return torch.cat([x, markers], dim=1), tokens


model = Mamba()
print(model)
print("parameters", sum(p.numel() for p in model.parameters()))
decay = [p for n, p in model.named_parameters() if p.ndim >= 2 and "A_log" not in n]
no_decay = [p for n, p in model.named_parameters() if p.ndim < 2 or "A_log" in n]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}], lr=3e-3, betas=(0.9, 0.95)
)
for step in range(STEPS):
    x, y = selective_copying(BATCH)
    logits = model(x)[:, -N_TOKENS:]
    loss = F.cross_entropy(logits.reshape(-1, VOCAB_SIZE), y.reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    if (step + 1) % 8 == 0:
        print(f"step {step + 1}: {loss.item():.2f}")

model.eval()
with torch.no_grad():
    x, y = selective_copying(BATCH)
    logits = model(x)[:, -N_TOKENS:]
    checks["test"] = [F.cross_entropy(logits.reshape(-1, VOCAB_SIZE), y.reshape(-1)).item()]
    checks["logits"] = logits[0, 0].tolist()
checks["A_log"] = model.layers[0].mixer.A_log[0].tolist()
