"""Growing neural cellular automata (Mordvintsev et al., 2020): cells that grow a picture from a seed, and keep it."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(6)
losses = []
checks = {}
TARGET_SIZE, TARGET_PADDING, CHANNEL_N, HIDDEN_N = 8, 2, 8, 24
POOL_SIZE, BATCH_SIZE, ITERATIONS = 16, 4, 20
MIN_STEPS, MAX_STEPS = 4, 8
CELL_FIRE_RATE = 0.5
SIZE = TARGET_SIZE + 2 * TARGET_PADDING


def make_target():
    """An orange disc with a blue tail, premultiplied by alpha."""
    axis = torch.linspace(-1, 1, TARGET_SIZE)
    ys, xs = torch.meshgrid(axis, axis, indexing="ij")
    disc = (xs**2 + (ys + 0.2) ** 2 < 0.5).float()
    tail = ((xs.abs() < 0.3) & (ys > 0.0)).float() * (1 - disc)
    rgb = disc * torch.tensor([1.0, 0.6, 0.1]).view(3, 1, 1) + tail * torch.tensor([0.1, 0.3, 0.9]).view(3, 1, 1)
    rgba = torch.cat([rgb, (disc + tail).unsqueeze(0)])
    p = TARGET_PADDING
    return F.pad(rgba, (p, p, p, p))


def make_seed(n):
    x = torch.zeros(n, CHANNEL_N, SIZE, SIZE)
    x[:, 3:, SIZE // 2, SIZE // 2] = 1.0
    return x


def to_rgb(x):
    rgb, a = x[:, :3], x[:, 3:4].clamp(0.0, 1.0)
    return 1.0 - a + rgb


class CAModel(nn.Module):
    def __init__(self, channel_n=CHANNEL_N, hidden_n=HIDDEN_N, fire_rate=CELL_FIRE_RATE):
        super().__init__()
        self.channel_n = channel_n
        self.fire_rate = fire_rate
        identity = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
        sobel_x = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])) / 8.0
        kernel = torch.stack([identity, sobel_x, sobel_x.t()]).repeat(channel_n, 1, 1).unsqueeze(1)
        self.register_buffer("kernel", kernel)
        self.w1 = nn.Conv2d(channel_n * 3, hidden_n, 1)
        self.w2 = nn.Conv2d(hidden_n, channel_n, 1, bias=False)
        nn.init.zeros_(self.w2.weight)

    def perceive(self, x):
        return F.conv2d(x, self.kernel, padding=1, groups=self.channel_n)

    @staticmethod
    def get_living_mask(x):
        return F.max_pool2d(x[:, 3:4], kernel_size=3, stride=1, padding=1) > 0.1

    def forward(self, x, fire_rate=None, step_size=1.0):
        pre_life_mask = self.get_living_mask(x)
        y = self.perceive(x)
        dx = self.w2(F.relu(self.w1(y))) * step_size
        if fire_rate is None:
            fire_rate = self.fire_rate
        update_mask = torch.rand(x[:, :1].shape) <= fire_rate
        x = x + dx * update_mask.float()
        post_life_mask = self.get_living_mask(x)
        life_mask = pre_life_mask & post_life_mask
        return x * life_mask.float()


def make_circle_masks(n):
    """Discs where a picture is damaged."""
    axis = torch.linspace(-1.0, 1.0, SIZE)
    x, y = axis.view(1, 1, SIZE), axis.view(1, SIZE, 1)
    center = torch.empty(2, n, 1, 1).uniform_(-0.5, 0.5)
    r = torch.empty(n, 1, 1).uniform_(0.1, 0.4)
    x, y = (x - center[0]) / r, (y - center[1]) / r
    return (x * x + y * y < 1.0).float().unsqueeze(1)


target = make_target()
seed = make_seed(1)
pool = seed.repeat(POOL_SIZE, 1, 1, 1)
model = CAModel()
print(model, [name for name, _ in model.named_buffers()])
optimizer = optim.Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.5))
scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [int(ITERATIONS * 0.7)], gamma=0.1)
steps_taken = []

for i in range(ITERATIONS):
    batch_idx = torch.randperm(POOL_SIZE)[:BATCH_SIZE]
    x0 = pool[batch_idx]
    # The worst of the batch starts from the seed again, the best are damaged.
    with torch.no_grad():
        rank = (x0[:, :4] - target).pow(2).mean(dim=(1, 2, 3)).argsort(descending=True)
        x0 = x0[rank]
        batch_idx = batch_idx[rank]
        x0[:1] = seed
        x0[-1:] *= 1.0 - make_circle_masks(1)

    n_steps = torch.randint(MIN_STEPS, MAX_STEPS + 1, (1,)).item()
    x = x0
    for _ in range(n_steps):
        x = model(x)
    loss = F.mse_loss(x[:, :4], target.expand(BATCH_SIZE, -1, -1, -1))
    overflow = (x - x.clamp(-2.0, 2.0)).abs().mean()
    total = loss + overflow
    optimizer.zero_grad()
    total.backward()
    for p in model.parameters():
        p.grad /= p.grad.norm() + 1e-8
    optimizer.step()
    scheduler.step()
    pool[batch_idx] = x.detach()
    losses.append(loss.item())
    steps_taken.append(n_steps)

print("steps", sum(steps_taken), "lr", scheduler.get_last_lr())
with torch.no_grad():
    x = make_seed(1)
    alive = []
    for _ in range(MAX_STEPS):
        x = model(x, fire_rate=1.0)
        alive.append(CAModel.get_living_mask(x).sum().item())
print("alive", alive[-1] > 0, to_rgb(x).shape)
checks["alpha"] = x[0, 3, SIZE // 2].tolist()
checks["pool"] = pool.mean(dim=(0, 2, 3)).tolist()
