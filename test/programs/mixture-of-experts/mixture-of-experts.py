"""A sparse mixture of experts (Shazeer et al., 2017): top-2 gates, noise, and a loss that balances the load."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
losses = []
checks = {}
D_MODEL, EXPERTS, BATCH, LENGTH, STEPS = 16, 4, 8, 10, 25


class Expert(nn.Module):
    def __init__(self, d_model, d_hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d_model, d_hidden), nn.SiLU(), nn.Linear(d_hidden, d_model))

    def forward(self, x):
        return self.net(x)


class SparseMoE(nn.Module):
    def __init__(self, d_model, n_experts, top_k=2):
        super().__init__()
        self.gate = nn.Linear(d_model, n_experts, bias=False)
        self.noise = nn.Linear(d_model, n_experts, bias=False)
        self.experts = nn.ModuleList([Expert(d_model, 2 * d_model) for _ in range(n_experts)])
        self.top_k = top_k

    def forward(self, x):
        tokens = x.reshape(-1, x.shape[-1])
        logits = self.gate(tokens)
        if self.training:
            logits = logits + torch.randn_like(logits) * F.softplus(self.noise(tokens))
        weights, chosen = torch.topk(logits, self.top_k, dim=-1)
        weights = F.softmax(weights, dim=-1)
        out = torch.zeros_like(tokens)
        for i, expert in enumerate(self.experts):
            rows, slot = torch.where(chosen == i)
            if len(rows) == 0:
                continue
            out.index_add_(0, rows, expert(tokens[rows]) * weights[rows, slot].unsqueeze(-1))
        probs = F.softmax(logits, dim=-1)
        load = F.one_hot(chosen, len(self.experts)).float().sum(1).mean(0)
        balance = (load * probs.mean(0)).sum() * len(self.experts)
        return out.view(x.shape), balance


class Model(nn.Module):
    def __init__(self, vocab, d_model=D_MODEL, n_experts=EXPERTS):
        super().__init__()
        self.embed = nn.Embedding(vocab, d_model)
        self.norm = nn.RMSNorm(d_model)
        self.moe = SparseMoE(d_model, n_experts)
        self.head = nn.Linear(d_model, vocab)

    def forward(self, x):
        h = self.embed(x)
        mixed, balance = self.moe(self.norm(h))
        return self.head(h + mixed), balance


vocab = 12
tokens = torch.randint(0, vocab, (BATCH, LENGTH))
targets = (tokens * 5 + torch.arange(LENGTH)) % vocab
model = Model(vocab)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=STEPS)
for step in range(STEPS):
    logits, balance = model(tokens)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
    if step % 8 == 0:
        print(f"step {step:3d} loss {loss.item():.2f} lr {scheduler.get_last_lr()[0]:.2e}")
model.eval()
with torch.no_grad():
    logits, balance = model(tokens)
checks["balance"] = [balance.item()]
print(model)
