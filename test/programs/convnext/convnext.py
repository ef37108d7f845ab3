"""ConvNeXt (Liu et al., 2022): depthwise convolutions, layer norm, layer scale and stochastic depth."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(8)
losses = []
checks = {"val": []}
N, N_VAL, SIZE, BATCH, EPOCHS = 48, 12, 16, 12, 3
DIM, DEPTH, CLASSES = 8, 1, 4
WARMUP_EPOCHS = 1
LR, MIN_LR, WEIGHT_DECAY = 4e-3, 1e-6, 0.05


def drop_path(x, drop_prob=0.0, training=False):
    if drop_prob == 0.0 or not training:
        return x
    keep_prob = 1 - drop_prob
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    random_tensor = x.new_empty(shape).bernoulli_(keep_prob)
    random_tensor.div_(keep_prob)
    return x * random_tensor


class DropPath(nn.Module):
    def __init__(self, drop_prob=0.0):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        return drop_path(x, self.drop_prob, self.training)

    def extra_repr(self):
        return f"drop_prob={round(self.drop_prob, 3):0.3f}"


class LayerNorm(nn.Module):
    """Layer norm of channels, last or first."""

    def __init__(self, normalized_shape, eps=1e-6, data_format="channels_last"):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(normalized_shape))
        self.bias = nn.Parameter(torch.zeros(normalized_shape))
        self.eps = eps
        self.data_format = data_format
        if self.data_format not in ["channels_last", "channels_first"]:
            raise NotImplementedError
        self.normalized_shape = (normalized_shape,)

    def forward(self, x):
        if self.data_format == "channels_last":
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Block(nn.Module):
    def __init__(self, dim, drop_path=0.0, layer_scale_init_value=1e-6):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = (
            nn.Parameter(layer_scale_init_value * torch.ones(dim), requires_grad=True)
            if layer_scale_init_value > 0
            else None
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()

    def forward(self, x):
        input = x
        x = self.dwconv(x)
        x = x.permute(0, 2, 3, 1)
        x = self.norm(x)
        x = self.pwconv1(x)
        x = self.act(x)
        x = self.pwconv2(x)
        if self.gamma is not None:
            x = self.gamma * x
        x = x.permute(0, 3, 1, 2)
        return input + self.drop_path(x)


class ConvNeXt(nn.Module):
    def __init__(self, in_chans, num_classes, depths, dims, drop_path_rate=0.0, layer_scale_init_value=1e-6):
        super().__init__()
        self.downsample_layers = nn.ModuleList()
        stem = nn.Sequential(
            nn.Conv2d(in_chans, dims[0], kernel_size=2, stride=2),
            LayerNorm(dims[0], eps=1e-6, data_format="channels_first"),
        )
        self.downsample_layers.append(stem)
        for i in range(len(dims) - 1):
            downsample_layer = nn.Sequential(
                LayerNorm(dims[i], eps=1e-6, data_format="channels_first"),
                nn.Conv2d(dims[i], dims[i + 1], kernel_size=2, stride=2),
            )
            self.downsample_layers.append(downsample_layer)
        self.stages = nn.ModuleList()
        dp_rates = [x.item() for x in torch.linspace(0, drop_path_rate, sum(depths))]
        cur = 0
        for i in range(len(dims)):
            stage = nn.Sequential(*[Block(dims[i], dp_rates[cur + j], layer_scale_init_value) for j in range(depths[i])])
            self.stages.append(stage)
            cur += depths[i]
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.head = nn.Linear(dims[-1], num_classes)
        self.apply(self._init_weights)
        self.head.weight.data.mul_(1.0)
        self.head.bias.data.mul_(1.0)

    def _init_weights(self, m):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.constant_(m.bias, 0)

    def forward_features(self, x):
        for downsample_layer, stage in zip(self.downsample_layers, self.stages):
            x = downsample_layer(x)
            x = stage(x)
        return self.norm(x.mean([-2, -1]))

    def forward(self, x):
        x = self.forward_features(x)
        return self.head(x)


def gratings(n):
    """Coloured gratings of four directions."""
    labels = torch.randint(0, CLASSES, (n,))
    axis = torch.arange(SIZE) / SIZE
    ys, xs = torch.meshgrid(axis, axis, indexing="ij")
    angle = labels * math.pi / CLASSES + 0.1 * torch.randn(n)
    phase = 2 * math.pi * torch.rand(n, 1, 1)
    along = torch.cos(angle)[:, None, None] * xs + torch.sin(angle)[:, None, None] * ys
    waves = torch.sin(2 * math.pi * 3 * along + phase)
    colours = torch.rand(n, 3, 1, 1)
    return waves.unsqueeze(1) * colours + 0.2 * torch.randn(n, 3, SIZE, SIZE), labels


def cosine_scheduler(base_value, final_value, epochs, niter_per_ep, warmup_epochs=0):
    warmup_iters = warmup_epochs * niter_per_ep
    warmup = [base_value * i / max(1, warmup_iters - 1) for i in range(warmup_iters)]
    iters = epochs * niter_per_ep - warmup_iters
    schedule = [
        final_value + 0.5 * (base_value - final_value) * (1 + math.cos(math.pi * i / iters)) for i in range(iters)
    ]
    return warmup + schedule


def get_parameter_groups(model):
    groups = {"decay": {"params": [], "weight_decay": WEIGHT_DECAY}, "no_decay": {"params": [], "weight_decay": 0.0}}
    for name, param in model.named_parameters():
        if len(param.shape) == 1 or name.endswith(".bias"):
            groups["no_decay"]["params"].append(param)
        else:
            groups["decay"]["params"].append(param)
    return list(groups.values())


images, labels = gratings(N + N_VAL)
train_x, train_y, val_x, val_y = images[:N], labels[:N], images[N:], labels[N:]
depths = [DEPTH, DEPTH, 2 * DEPTH]
dims = [DIM, 2 * DIM, 4 * DIM]
model = ConvNeXt(3, CLASSES, depths, dims, drop_path_rate=0.1, layer_scale_init_value=0.1)
print(model)
print("number of params:", sum(p.numel() for p in model.parameters() if p.requires_grad))
optimizer = torch.optim.AdamW(get_parameter_groups(model), lr=LR, betas=(0.9, 0.999))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
steps_per_epoch = N // BATCH
lr_schedule_values = cosine_scheduler(LR, MIN_LR, EPOCHS, steps_per_epoch, WARMUP_EPOCHS)

it = 0
for epoch in range(EPOCHS):
    model.train(True)
    order = torch.randperm(N)
    for step in range(steps_per_epoch):
        for param_group in optimizer.param_groups:
            param_group["lr"] = lr_schedule_values[it]
        index = order[step * BATCH : (step + 1) * BATCH]
        samples, targets = train_x[index], train_y[index]
        flip = torch.rand(1).item() < 0.5
        if flip:
            samples, targets = samples.flip(-1), (CLASSES - targets) % CLASSES
        output = model(samples)
        loss = criterion(output, targets)
        loss_value = loss.item()
        if not math.isfinite(loss_value):
            raise RuntimeError(f"Loss is {loss_value}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss_value)
        it += 1
    model.eval()
    with torch.no_grad():
        output = model(val_x)
        val_loss = F.cross_entropy(output, val_y).item()
    checks["val"].append(val_loss)
    print(f"epoch {epoch + 1}: lr {optimizer.param_groups[0]['lr']:.6f}")
checks["logits"] = output[:2].flatten().tolist()
checks["gamma"] = model.stages[2][-1].gamma.tolist()
