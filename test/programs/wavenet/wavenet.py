# WaveNet-like causal convolutions with weight norm on a series, a CTC recogniser, hooks and checkpoints
import os
import tempfile

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(7)
losses = []


class CausalConv1d(nn.Conv1d):
    def __init__(self, in_channels, out_channels, kernel_size, dilation=1, bias=True):
        self.left = (kernel_size - 1) * dilation
        super().__init__(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=dilation, bias=bias)

    def forward(self, input):
        return super().forward(F.pad(input, (self.left, 0)))


class WeightNormConv(nn.Module):
    """Weight norm by hand: w = g * v / |v|"""

    def __init__(self, *args, **kwargs):
        super().__init__()
        conv = CausalConv1d(*args, **kwargs)
        v = conv.weight.detach()
        self.weight_g = nn.Parameter(v.norm(2, dim=(1, 2), keepdim=True))
        self.weight_v = nn.Parameter(v.clone())
        self.bias = conv.bias
        self.left, self.dilation = conv.left, conv.dilation

    def forward(self, x):
        w = self.weight_v * (self.weight_g / torch.norm(self.weight_v, dim=(1, 2), keepdim=True))
        return F.conv1d(F.pad(x, [self.left, 0]), w, self.bias, dilation=self.dilation)


class GatedBlock(nn.Module):
    def __init__(self, channels, skip, dilation):
        super().__init__()
        self.conv = WeightNormConv(channels, 2 * channels, 2, dilation=dilation)
        self.res = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, skip, 1, bias=False)

    def forward(self, x):
        a, b = self.conv(x).chunk(2, dim=1)
        z = torch.tanh(a) * torch.sigmoid(b)
        return x + self.res(z), self.skip(z)


class WaveNet(nn.Module):
    def __init__(self, n_in=1, channels=8, skip=12, layers=4):
        super().__init__()
        self.inp = CausalConv1d(n_in, channels, 2)
        self.blocks = nn.ModuleList([GatedBlock(channels, skip, 2**i) for i in range(layers)])
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, 16, 1), nn.ReLU(), nn.Conv1d(16, 1, 1))

    @property
    def receptive_field(self):
        return 2 + sum(b.conv.dilation[0] for b in self.blocks)

    def forward(self, x):
        x = self.inp(x)
        skips = 0
        for block in self.blocks:
            x, s = block(x)
            skips = skips + s
        return self.head(skips)


class WindowSet(Dataset):
    def __init__(self, series, window):
        self.windows = series.unfold(0, window + 1, 5)

    def __len__(self):
        return len(self.windows)

    def __getitem__(self, i):
        w = self.windows[i]
        return {"x": w[None, :-1], "y": w[None, 1:], "i": i}


t = torch.linspace(0, 20, 200)
series = torch.sin(t) + 0.3 * torch.cos(3 * t) + 0.02 * torch.randn(200)
mean, std = series.mean(), series.std(unbiased=False)
series = (series - mean) / std
loader = DataLoader(WindowSet(series, 30), batch_size=6, shuffle=True, drop_last=True)
net = WaveNet()
print(net)
print("receptive field", net.receptive_field, "windows", len(loader.dataset), "batches", len(loader))

activations = {}
handles = []


def save_activation(name):
    def hook(module, args, output):
        activations[name] = (output[0] if isinstance(output, tuple) else output).detach()
    return hook


for name, module in net.named_modules():
    if isinstance(module, (GatedBlock, WeightNormConv)) or name == "head.1":
        handles.append(module.register_forward_hook(save_activation(name)))
grads = {}
handles.append(net.head[1].register_full_backward_hook(lambda m, gi, go: grads.update(inp=gi[0].abs().mean(), out=go[0].abs().mean())))
net.inp.register_forward_pre_hook(lambda m, args: (args[0] * 1.0,))

opt = torch.optim.RMSprop(net.parameters(), lr=3e-3, momentum=0.5)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.003, total_steps=30)
path = os.path.join(tempfile.mkdtemp(), "ckpt.pt")
step = 0
for epoch in range(6):
    for batch in loader:
        opt.zero_grad()
        out = net(batch["x"])
        loss = F.smooth_l1_loss(out, batch["y"], beta=0.5)
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
        step += 1
    if epoch == 2:
        torch.save({"epoch": epoch, "model": net.state_dict(), "optim": opt.state_dict(), "sched": sched.state_dict(), "rng": torch.get_rng_state()}, path)
    if step + len(loader) > 30:
        break
print("steps", step, [k for k in activations], batch["i"].dtype == torch.int64)
print({k: v.shape for k, v in activations.items()})
for h in handles:
    h.remove()

# Continues from the middle in a new model, which repeats the same losses
ckpt = torch.load(path)
net2 = WaveNet()
print(net2.load_state_dict(ckpt["model"]))
opt2 = torch.optim.RMSprop(net2.parameters(), lr=1.0, momentum=0.5)
sched2 = torch.optim.lr_scheduler.OneCycleLR(opt2, max_lr=0.003, total_steps=30)
opt2.load_state_dict(ckpt["optim"])
sched2.load_state_dict(ckpt["sched"])
torch.set_rng_state(ckpt["rng"])
again = []
for epoch in range(ckpt["epoch"] + 1, 6):
    for batch in loader:
        opt2.zero_grad()
        loss = F.smooth_l1_loss(net2(batch["x"]), batch["y"], beta=0.5)
        loss.backward()
        opt2.step()
        sched2.step()
        again.append(loss.item())
    if len(again) + len(loader) * 3 + len(loader) > 30:
        break
losses.extend(again)
print("repeats:", max(abs(a - b) for a, b in zip(again, losses[len(loader) * 3 :])) < 1e-4, len(again))
print(opt2)

# Rolls the forecast out
with torch.no_grad():
    ctx = series[:40].clone().view(1, 1, -1)
    for _ in range(12):
        nxt = net2(ctx)[..., -1:]
        ctx = torch.cat((ctx, nxt), -1)
forecast = (ctx[0, 0, -12:] * std + mean)


# CTC: noisy frames of repeated symbols
class Recogniser(nn.Module):
    def __init__(self, n_feat, n_hidden, n_class):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv1d(n_feat, n_hidden, 3, padding="same"), nn.BatchNorm1d(n_hidden), nn.Hardtanh(0, 20))
        self.rnn = nn.LSTM(n_hidden, n_hidden, 2, bidirectional=True)
        self.fc = nn.Linear(2 * n_hidden, n_class)

    def forward(self, x):
        x = self.cnn(x).permute(2, 0, 1)
        x, (h, c) = self.rnn(x)
        return F.log_softmax(self.fc(x), dim=-1)


C, B = 5, 4
targets = [torch.randint(1, C, (n,)) for n in (3, 5, 4, 2)]
in_lens = torch.tensor([16, 20, 18, 12])
x = torch.zeros(B, C, 20)
for b, tgt in enumerate(targets):
    pos = torch.linspace(0, in_lens[b].item() - 3, len(tgt)).long()
    for p, c in zip(pos.tolist(), tgt.tolist()):
        x[b, c, p : p + 2] += 1.0
x += 0.1 * torch.randn_like(x)
rec = Recogniser(C, 8, C)
ctc = nn.CTCLoss(blank=0, zero_infinity=True)
opt = torch.optim.Adam(rec.parameters(), lr=0.03)
for step in range(25):
    opt.zero_grad()
    logp = rec(x)
    loss = ctc(logp, torch.cat(targets), in_lens, torch.tensor([len(v) for v in targets]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(rec.parameters(), 5.0, norm_type=float("inf"))
    opt.step()
    losses.append(loss.item())
rec.eval()
with torch.no_grad():
    best = rec(x).argmax(-1).T
decoded = []
for row, n in zip(best, in_lens):
    u = torch.unique_consecutive(row[:n])
    decoded.append(u[u != 0].tolist())
print(decoded, [v.tolist() for v in targets])
print(rec.cnn[1].running_mean.shape, rec.cnn[1].num_batches_tracked)
checks = {
    "forecast": forecast.tolist(),
    "activations": [a.mean().item() for a in activations.values()],
    "grads": [g.item() for g in grads.values()],
    "running": rec.cnn[1].running_var.tolist(),
}
