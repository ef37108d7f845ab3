"""Denoising diffusion of pictures (Ho et al., 2020): a UNet with time embeddings, then DDIM (Song et al., 2021)."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
losses = []
checks = {}
SIZE, CH, GROUPS, N, BATCH, STEPS = 8, 8, 4, 48, 8, 16
TIMESTEPS, DDIM_STEPS, N_SAMPLES = 100, 10, 2
EMA_DECAY, DROPOUT = 0.9, 0.1
TDIM = 4 * CH


def timestep_embedding(timesteps, dim):
    half_dim = dim // 2
    emb = math.log(10000) / (half_dim - 1)
    emb = torch.exp(torch.arange(half_dim, dtype=torch.float32) * -emb)
    emb = timesteps.float()[:, None] * emb[None, :]
    return torch.cat([torch.sin(emb), torch.cos(emb)], dim=1)


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Downsample(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, stride=2, padding=0)

    def forward(self, x):
        x = F.pad(x, (0, 1, 0, 1), mode="constant", value=0)
        return self.conv(x)


class Upsample(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, padding=1)

    def forward(self, x):
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.conv(x)


class ResnetBlock(nn.Module):
    def __init__(self, in_ch, out_ch, tdim=TDIM, dropout=DROPOUT):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, in_ch, eps=1e-6)
        self.conv1 = nn.Conv2d(in_ch, out_ch, 3, padding=1)
        self.temb_proj = nn.Linear(tdim, out_ch)
        self.norm2 = nn.GroupNorm(GROUPS, out_ch, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_ch, out_ch, 3, padding=1)
        nn.init.xavier_uniform_(self.conv2.weight, gain=1e-5)
        self.shortcut = nn.Conv2d(in_ch, out_ch, 1) if in_ch != out_ch else nn.Identity()

    def forward(self, x, temb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.shortcut(x) + h


class AttnBlock(nn.Module):
    def __init__(self, in_ch):
        super().__init__()
        self.group_norm = nn.GroupNorm(GROUPS, in_ch)
        self.proj_q = nn.Conv2d(in_ch, in_ch, 1)
        self.proj_k = nn.Conv2d(in_ch, in_ch, 1)
        self.proj_v = nn.Conv2d(in_ch, in_ch, 1)
        self.proj = nn.Conv2d(in_ch, in_ch, 1)

    def forward(self, x):
        B, C, H, W = x.shape
        h = self.group_norm(x)
        q, k, v = self.proj_q(h), self.proj_k(h), self.proj_v(h)
        q = q.permute(0, 2, 3, 1).view(B, H * W, C)
        k = k.view(B, C, H * W)
        w = torch.bmm(q, k) * (int(C) ** (-0.5))
        w = F.softmax(w, dim=-1)
        v = v.permute(0, 2, 3, 1).view(B, H * W, C)
        h = torch.bmm(w, v)
        h = h.view(B, H, W, C).permute(0, 3, 1, 2)
        return x + self.proj(h)


class UNet(nn.Module):
    def __init__(self, ch=CH, ch_mult=(1, 2, 2), in_channels=1):
        super().__init__()
        self.time_embedding = nn.Sequential(nn.Linear(ch, TDIM), Swish(), nn.Linear(TDIM, TDIM))
        self.head = nn.Conv2d(in_channels, ch, 3, padding=1)
        self.downblocks = nn.ModuleList()
        chs, now_ch = [ch], ch
        for i, mult in enumerate(ch_mult):
            self.downblocks.append(ResnetBlock(now_ch, ch * mult))
            now_ch = ch * mult
            chs.append(now_ch)
            if i != len(ch_mult) - 1:
                self.downblocks.append(Downsample(now_ch))
                chs.append(now_ch)
        self.mid1 = ResnetBlock(now_ch, now_ch)
        self.mid_attn = AttnBlock(now_ch)
        self.mid2 = ResnetBlock(now_ch, now_ch)
        self.upblocks = nn.ModuleList()
        for i, mult in reversed(list(enumerate(ch_mult))):
            for _ in range(2):
                self.upblocks.append(ResnetBlock(chs.pop() + now_ch, ch * mult))
                now_ch = ch * mult
            if i != 0:
                self.upblocks.append(Upsample(now_ch))
        self.tail = nn.Sequential(
            nn.GroupNorm(GROUPS, now_ch), nn.SiLU(), nn.Conv2d(now_ch, in_channels, 3, stride=1, padding=1)
        )

    def forward(self, x, t):
        temb = self.time_embedding(timestep_embedding(t, CH))
        h = self.head(x)
        hs = [h]
        for layer in self.downblocks:
            h = layer(h, temb) if isinstance(layer, ResnetBlock) else layer(h)
            hs.append(h)
        h = self.mid1(h, temb)
        h = self.mid_attn(h)
        h = self.mid2(h, temb)
        for layer in self.upblocks:
            if isinstance(layer, ResnetBlock):
                h = layer(torch.cat([h, hs.pop()], dim=1), temb)
            else:
                h = layer(h)
        assert len(hs) == 0
        return self.tail(h)


class EMAHelper:
    def __init__(self, mu):
        self.mu = mu
        self.shadow = {}

    def register(self, module):
        for name, param in module.named_parameters():
            if param.requires_grad:
                self.shadow[name] = param.data.clone()

    def update(self, module):
        for name, param in module.named_parameters():
            if param.requires_grad:
                self.shadow[name].data = (1.0 - self.mu) * param.data + self.mu * self.shadow[name].data

    def ema(self, module):
        for name, param in module.named_parameters():
            if param.requires_grad:
                param.data.copy_(self.shadow[name].data)


def make_images(n):
    """Blobs and bars, from -1 to 1."""
    axis = torch.linspace(-1, 1, SIZE)
    ys, xs = torch.meshgrid(axis, axis, indexing="ij")
    centre = torch.rand(n, 2, 1, 1) - 0.5
    blob = torch.exp(-((xs - centre[:, 0]) ** 2 + (ys - centre[:, 1]) ** 2) / 0.15)
    bar = ((xs - centre[:, 0]).abs() < 0.2).float()
    kind = torch.rand(n, 1, 1) < 0.5
    return (2 * torch.where(kind, blob, bar) - 1).unsqueeze(1)


def compute_alpha(beta, t):
    beta = torch.cat([torch.zeros(1), beta], dim=0)
    return (1 - beta).cumprod(dim=0).index_select(0, t + 1).view(-1, 1, 1, 1)


images = make_images(N)
betas = torch.linspace(1e-4, 0.02 * 1000 / TIMESTEPS / 5, TIMESTEPS)
model = UNet()
print(model)
ema_helper = EMAHelper(EMA_DECAY)
ema_helper.register(model)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.999))

for step in range(STEPS):
    model.train()
    x0 = images[torch.randint(0, N, (BATCH,))]
    e = torch.randn_like(x0)
    # Antithetic sampling of time steps.
    t = torch.randint(low=0, high=TIMESTEPS, size=(BATCH // 2 + 1,))
    t = torch.cat([t, TIMESTEPS - t - 1], dim=0)[:BATCH]
    a = (1 - betas).cumprod(dim=0).index_select(0, t).view(-1, 1, 1, 1)
    x = x0 * a.sqrt() + e * (1.0 - a).sqrt()
    output = model(x, t.float())
    loss = (e - output).square().sum(dim=(1, 2, 3)).mean(dim=0)
    losses.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    ema_helper.update(model)

ema_model = copy.deepcopy(model)
ema_helper.ema(ema_model)
ema_model.eval()


def generalized_steps(x, seq, model, b, eta=0.0):
    with torch.no_grad():
        n = x.size(0)
        seq_next = [-1] + list(seq[:-1])
        x0_preds, xs = [], [x]
        for i, j in zip(reversed(seq), reversed(seq_next)):
            t = torch.ones(n) * i
            next_t = torch.ones(n) * j
            at = compute_alpha(b, t.long())
            at_next = compute_alpha(b, next_t.long())
            xt = xs[-1]
            et = model(xt, t)
            x0_t = (xt - et * (1 - at).sqrt()) / at.sqrt()
            x0_preds.append(x0_t)
            c1 = eta * ((1 - at / at_next) * (1 - at_next) / (1 - at)).sqrt()
            c2 = ((1 - at_next) - c1**2).sqrt()
            xt_next = at_next.sqrt() * x0_t + c1 * torch.randn_like(x) + c2 * et
            xs.append(xt_next)
    return xs, x0_preds


skip = TIMESTEPS // DDIM_STEPS
seq = range(0, TIMESTEPS, skip)
samples, x0_preds = generalized_steps(torch.randn(N_SAMPLES, 1, SIZE, SIZE), seq, ema_model, betas)
print("samples", samples[-1].shape, len(x0_preds))
checks["sample"] = samples[-1][0, 0, SIZE // 2].tolist()
checks["means"] = [x.mean().item() for x in x0_preds]
checks["shadow"] = [sum(p.norm().item() for p in ema_helper.shadow.values())]
