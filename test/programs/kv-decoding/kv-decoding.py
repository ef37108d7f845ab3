"""A decoder with key-value caches that grow by one token: trained to reverse a sequence, then decoded greedily."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
losses = []
checks = {}
D_MODEL, HEADS, LAYERS, VOCAB = 32, 4, 2, 12
LENGTH, BATCH, STEPS, PROMPTS = 4, 16, 20, 2
SEPARATOR = 1


class Attention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(d_model, d_model)
        self.kv = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def split(self, x):
        b, t, d = x.shape
        return x.view(b, t, self.heads, d // self.heads).transpose(1, 2)

    def forward(self, x, cache=None):
        b, t, d = x.shape
        q = self.split(self.q(x))
        k, v = self.kv(x).chunk(2, dim=-1)
        k, v = self.split(k), self.split(v)
        if cache is not None:
            k = torch.cat([cache[0], k], dim=2)
            v = torch.cat([cache[1], v], dim=2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(d // self.heads)
        if t > 1:
            mask = torch.ones(t, k.size(2), dtype=torch.bool).triu(k.size(2) - t + 1)
            scores = scores.masked_fill(mask, float("-inf"))
        y = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(b, t, d)
        return self.out(y), (k, v)


class Layer(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, heads)
        self.norm2 = nn.LayerNorm(d_model)
        self.mlp = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))

    def forward(self, x, cache=None):
        y, cache = self.attention(self.norm1(x), cache)
        x = x + y
        return x + self.mlp(self.norm2(x)), cache


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, D_MODEL)
        self.positions = nn.Embedding(2 * LENGTH + 1, D_MODEL)
        self.layers = nn.ModuleList([Layer(D_MODEL, HEADS) for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(D_MODEL)
        self.head = nn.Linear(D_MODEL, VOCAB)

    def forward(self, tokens, caches=None):
        past = 0 if caches is None else caches[0][0].size(2)
        x = self.tokens(tokens) + self.positions(torch.arange(past, past + tokens.size(1)))
        grown = []
        for i, layer in enumerate(self.layers):
            x, cache = layer(x, None if caches is None else caches[i])
            grown.append(cache)
        return self.head(self.norm(x)), grown


def batch(n):
    x = torch.randint(2, VOCAB, (n, LENGTH))
    return torch.cat([x, torch.full((n, 1), SEPARATOR), x.flip(1)], dim=1)


model = Decoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(STEPS):
    tokens = batch(BATCH)
    logits, _ = model(tokens[:, :-1])
    loss = F.cross_entropy(logits[:, LENGTH:].reshape(-1, VOCAB), tokens[:, LENGTH + 1 :].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

model.eval()
right = 0
last = []
with torch.no_grad():
    for _ in range(PROMPTS):
        prompt = batch(1)
        logits, caches = model(prompt[:, : LENGTH + 1])
        decoded = []
        for _ in range(LENGTH):
            token = logits[:, -1].argmax(dim=-1, keepdim=True)
            decoded.append(token.item())
            logits, caches = model(token, caches)
        right += sum(a == b for a, b in zip(decoded, prompt[0, LENGTH + 1 :].tolist()))
        last = logits[0, -1].tolist()
print("right:", right, "of", PROMPTS * LENGTH)
checks["logits"] = last
