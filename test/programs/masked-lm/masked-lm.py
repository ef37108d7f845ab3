# A small masked language model from scratch, a pointer network, a memory network, a GRU with scheduled sampling and beam search
import math
import random
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence, pack_padded_sequence

torch.manual_seed(123)
losses = []


class RelativeBias(nn.Module):
    """T5's relative position bias"""

    def __init__(self, num_buckets=8, max_distance=16, heads=2):
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.bias = nn.Embedding(num_buckets, heads)

    @staticmethod
    def bucket(relative_position, num_buckets, max_distance):
        ret = 0
        n = -relative_position
        num_buckets //= 2
        ret += (n < 0).to(torch.long) * num_buckets
        n = torch.abs(n)
        max_exact = num_buckets // 2
        is_small = n < max_exact
        val_if_large = max_exact + (
            torch.log(n.float() / max_exact) / math.log(max_distance / max_exact) * (num_buckets - max_exact)
        ).to(torch.long)
        val_if_large = torch.min(val_if_large, torch.full_like(val_if_large, num_buckets - 1))
        ret += torch.where(is_small, n, val_if_large)
        return ret

    def forward(self, qlen, klen):
        q = torch.arange(qlen, dtype=torch.long)[:, None]
        k = torch.arange(klen, dtype=torch.long)[None, :]
        rp_bucket = self.bucket(k - q, self.num_buckets, self.max_distance)
        return self.bias(rp_bucket).permute([2, 0, 1]).unsqueeze(0)


class SelfAttention(nn.Module):
    def __init__(self, hidden, heads, p=0.1):
        super().__init__()
        assert hidden % heads == 0, "hidden must be divisible by heads"
        self.heads, self.d = heads, hidden // heads
        self.qkv = nn.Linear(hidden, hidden * 3)
        self.out = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(p)

    def forward(self, x, bias, pad):
        b, n, h = x.size()
        q, k, v = (t.reshape(b, n, self.heads, self.d).permute(0, 2, 1, 3) for t in self.qkv(x).split(h, dim=-1))
        scores = torch.einsum("bhid,bhjd->bhij", q, k).mul_(self.d**-0.5) + bias
        scores = scores.masked_fill(pad[:, None, None, :], torch.finfo(scores.dtype).min)
        attn = self.dropout(scores.softmax(-1))
        return self.out(torch.einsum("bhij,bhjd->bhid", attn, v).transpose(1, 2).flatten(2))


class MaskedLM(nn.Module):
    def __init__(self, vocab, hidden=16, heads=2, layers=2):
        super().__init__()
        self.tok = nn.Embedding(vocab, hidden, padding_idx=0)
        self.register_buffer("position_ids", torch.arange(32).expand((1, -1)))
        self.norm = nn.LayerNorm(hidden, eps=1e-12)
        self.rel = RelativeBias(heads=heads)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                OrderedDict(
                    attn=SelfAttention(hidden, heads),
                    n1=nn.LayerNorm(hidden),
                    ff=nn.Sequential(OrderedDict([("up", nn.Linear(hidden, 32)), ("act", nn.GELU("tanh")), ("down", nn.Linear(32, hidden))])),
                    n2=nn.LayerNorm(hidden),
                )
            )
            for _ in range(layers)
        )
        self.decoder = nn.Linear(hidden, vocab)
        self.decoder.weight = self.tok.weight

    def forward(self, ids, labels=None):
        pad = ids == 0
        x = self.norm(self.tok(ids))
        bias = self.rel(ids.shape[1], ids.shape[-1])
        for layer in self.layers:
            x = layer["n1"](x + layer["attn"](x, bias, pad))
            x = layer["n2"](x + layer["ff"](x))
        logits = self.decoder(x)
        if labels is None:
            return None, logits
        return F.cross_entropy(logits.transpose(-1, -2), labels, ignore_index=-100, label_smoothing=0.05), logits


V = 24
MASK = V - 1


def make_batch(bs=8, n=12):
    lengths = torch.randint(6, n + 1, (bs,))
    start = torch.randint(1, V - 1, (bs, 1))
    ids = (start + torch.arange(n) * 2 - 1) % (V - 2) + 1
    ids[torch.arange(n) >= lengths.unsqueeze(1)] = 0
    labels = ids.clone()
    prob = torch.full(labels.shape, 0.25).masked_fill_(ids.eq(0), 0.0)
    masked = torch.bernoulli(prob).bool()
    labels[~masked] = -100
    replaced = torch.bernoulli(torch.full(labels.shape, 0.8)).bool() & masked
    ids[replaced] = MASK
    rand = torch.bernoulli(torch.full(labels.shape, 0.5)).bool() & masked & ~replaced
    words = torch.randint(1, V - 1, labels.shape, dtype=torch.long)
    ids[rand] = words[rand]
    return ids, labels


model = MaskedLM(V)
print(model)
print([n for n, _ in model.named_parameters()][:4], len(list(model.parameters())), len(model.state_dict()))
opt = torch.optim.NAdam([{"params": [p for n, p in model.named_parameters() if "norm" not in n and not n.endswith("bias")], "weight_decay": 0.01}, {"params": [p for n, p in model.named_parameters() if "norm" in n or n.endswith("bias")]}], lr=5e-3)
sched = torch.optim.lr_scheduler.SequentialLR(opt, [torch.optim.lr_scheduler.LinearLR(opt, 0.1, total_iters=5), torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=25)], milestones=[5])
for step in range(30):
    ids, labels = make_batch()
    loss, logits = model(ids, labels=labels)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    losses.append(loss.item())
model.eval()
ids, labels = make_batch(2, 8)
with torch.no_grad():
    top = model(ids)[1].topk(3, dim=-1)
print(ids)
print(labels != -100)
print(top.indices.shape, top.values.dtype == torch.float32, (ids == MASK).nonzero(as_tuple=False).tolist())


class PointerNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.emb = nn.Linear(1, hidden)
        self.enc = nn.LSTM(hidden, hidden, batch_first=True)
        self.cell = nn.LSTMCell(hidden, hidden)
        self.w1, self.w2 = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Parameter(torch.empty(hidden).uniform_(-0.5, 0.5))
        self.start = nn.Parameter(torch.zeros(1, hidden))

    def forward(self, x, target=None):
        e = self.emb(x.unsqueeze(-1))
        memory, (h, c) = self.enc(e)
        h, c = h.squeeze(0), c[0]
        inp = self.start.repeat(x.size(0), 1)
        mask = torch.zeros_like(x, dtype=torch.bool)
        loss, out = 0.0, []
        for t in range(x.size(1)):
            h, c = self.cell(inp, (h, c))
            u = torch.tanh(self.w1(memory) + self.w2(h)[:, None]) @ self.v
            u = u.masked_fill(mask, float("-inf"))
            choice = u.argmax(1) if target is None else target[:, t]
            if target is not None:
                loss += F.nll_loss(u.log_softmax(1), choice)
            out.append(choice)
            mask = mask.scatter(1, choice[:, None], True)
            inp = e.gather(1, choice.view(-1, 1, 1).expand(-1, 1, e.size(2))).squeeze(1)
        return loss / x.size(1), torch.stack(out, 1)


ptr = PointerNet(12)
opt = torch.optim.Adagrad(ptr.parameters(), lr=0.1)
for step in range(20):
    x = torch.rand(16, 5)
    loss, _ = ptr(x, x.argsort(1))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(ptr.parameters(), max_norm=2.0)
    opt.step()
    losses.append(loss.item())
with torch.no_grad():
    _, order = ptr(torch.tensor([[0.9, 0.1, 0.5, 0.3, 0.7]]))
print("pointer", sorted(order[0].tolist()))


class MemN2N(nn.Module):
    def __init__(self, vocab, d, hops):
        super().__init__()
        self.hops = hops
        self.embs = nn.ParameterList([nn.Parameter(torch.randn(vocab, d) * 0.1) for _ in range(hops + 1)])
        self.H = nn.Linear(d, d)
        J, d_ = 4, d
        pe = torch.tensor([[1 - (j + 1) / J - (k + 1) / d_ * (1 - 2 * (j + 1) / J) for k in range(d_)] for j in range(J)])
        self.register_buffer("pe", pe)

    def forward(self, story, query):
        u = F.embedding(query, self.embs[0]).sum(1)
        for hop in range(self.hops):
            m = (F.embedding(story, self.embs[hop]) * self.pe).sum(2)
            c = (F.embedding(story, self.embs[hop + 1]) * self.pe).sum(2)
            p = F.softmax(torch.bmm(m, u.unsqueeze(2)).squeeze(2), dim=1)
            u = self.H(u) + torch.bmm(p.unsqueeze(1), c).squeeze(1)
        return u @ self.embs[-1].t()


mem = MemN2N(15, 8, 2)
print(mem)
opt = torch.optim.SGD(mem.parameters(), lr=0.5, momentum=0.9, nesterov=True)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
for step in range(20):
    story = torch.randint(0, 15, (8, 3, 4))
    query = story[torch.arange(8), torch.randint(3, (8,))][:, :2]
    loss = F.cross_entropy(mem(story, query), query[:, 0])
    opt.zero_grad()
    loss.backward()
    opt.step()
    plateau.step(loss)
    losses.append(loss.item())
print("lr", opt.param_groups[0]["lr"])


class Seq2Seq(nn.Module):
    def __init__(self, vocab, d):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.enc = nn.GRU(d, d, num_layers=2, dropout=0.1, bidirectional=True)
        self.bridge = nn.Linear(2 * d, d)
        self.dec = nn.GRUCell(d, d)
        self.out = nn.Linear(d, vocab)

    def encode(self, src, lengths):
        packed = pack_padded_sequence(self.emb(src), lengths, enforce_sorted=False)
        out, h = self.enc(packed)
        out, n = pad_packed_sequence(out)
        h = h.view(2, 2, src.size(1), -1)[-1]
        return torch.tanh(self.bridge(torch.cat([h[0], h[1]], -1)))

    def forward(self, src, lengths, tgt, ratio):
        h = self.encode(src, lengths)
        inp = torch.zeros(src.size(1), dtype=torch.long)
        outs = []
        for t in range(tgt.size(0)):
            h = self.dec(self.emb(inp), h)
            outs.append(self.out(h))
            use = torch.rand(inp.shape) < ratio
            inp = torch.where(use, tgt[t], outs[-1].detach().argmax(-1))
        return torch.stack(outs)

    @torch.no_grad()
    def beam(self, src, width=3, steps=4):
        h = self.encode(src[:, None], torch.tensor([len(src)]))
        beams = [(0.0, [0], h)]
        for _ in range(steps):
            cand = []
            for score, toks, h in beams:
                h2 = self.dec(self.emb(torch.tensor(toks[-1:])), h)
                lp, ix = self.out(h2).log_softmax(-1)[0].topk(width)
                for p, i in zip(lp, ix):
                    cand.append((score + p.item(), toks + [int(i)], h2))
            beams = sorted(cand, key=lambda c: c[0], reverse=True)[:width]
        return beams


s2s = Seq2Seq(10, 8)
opt = torch.optim.Adamax(s2s.parameters(), lr=0.02)
for step in range(25):
    lengths = torch.randint(2, 5, (6,))
    lengths[0] = 4
    src = torch.randint(1, 10, (4, 6))
    valid = torch.arange(4)[:, None] < lengths
    src *= valid
    tgt = torch.where(valid, src.flip(0), 0)
    logits = s2s(src, lengths, tgt, ratio=1 - step / 25)
    loss = (F.cross_entropy(logits.flatten(0, 1), tgt.flatten(), reduction="none") * valid.flatten()).sum() / valid.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
s2s.eval()
best = s2s.beam(torch.tensor([3, 1, 2]))
print(len(best), len(best[0][1]))
checks = {"top": top.values.flatten().tolist(), "beam": [b[0] for b in best], "bias": model.rel.bias.weight.flatten().tolist()}
