"""Quantisation-aware training with a straight-through estimator, pruning with rewound weights (Frankle & Carbin, 2019), and binary weights."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function

torch.manual_seed(14)
losses, checks = [], {}


class FakeQuantOp(Function):
    @staticmethod
    def forward(ctx, x, num_bits=8, min_val=None, max_val=None):
        qmin, qmax = 0.0, 2.0 ** num_bits - 1.0
        min_val = x.min() if min_val is None else min_val
        max_val = x.max() if max_val is None else max_val
        scale = (max_val - min_val) / (qmax - qmin)
        zero_point = torch.clamp(torch.round(qmin - min_val / scale), qmin, qmax)
        ctx.save_for_backward(x, torch.as_tensor(min_val), torch.as_tensor(max_val))
        q_x = torch.clamp(zero_point + x / scale, qmin, qmax).round()
        return scale * (q_x - zero_point)

    @staticmethod
    def backward(ctx, grad_output):
        x, lo, hi = ctx.saved_tensors
        grad = grad_output.clone()
        grad[(x < lo) | (x > hi)] = 0
        return grad, None, None, None


class Observer(nn.Module):
    def __init__(self, momentum=0.1):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("min_val", torch.tensor(float("inf")))
        self.register_buffer("max_val", torch.tensor(float("-inf")))
        self.register_buffer("count", torch.zeros(1, dtype=torch.long))

    def forward(self, x):
        if self.training:
            lo, hi = torch.aminmax(x.detach())
            if self.count == 0:
                self.min_val.copy_(lo)
                self.max_val.copy_(hi)
            else:
                self.min_val.lerp_(lo, self.momentum)
                self.max_val += self.momentum * (hi - self.max_val)
            self.count += 1
        return FakeQuantOp.apply(x, 4, self.min_val, self.max_val)


class QLinear(nn.Linear):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__(in_features, out_features, bias)
        self.act_observer = Observer()

    def forward(self, x):
        w = FakeQuantOp.apply(self.weight, 4)
        w_ste = self.weight + (w - self.weight).detach()
        return F.linear(self.act_observer(x), w_ste, self.bias)


x = torch.randn(64, 6)
y = (x[:, :3].sum(1) > x[:, 3:].prod(1)).float()
model = nn.Sequential(QLinear(6, 16), nn.Hardtanh(), QLinear(16, 1), nn.Flatten(0))
print(model)
print([(k, tuple(v.shape)) for k, v in model.state_dict().items() if "obs" in k][:3][0][0])
opt = torch.optim.Adamax(model.parameters(), lr=0.01)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.03, total_steps=16, pct_start=0.25, anneal_strategy="linear")
for step in range(16):
    b = slice(16 * (step % 4), 16 * (step % 4 + 1))
    loss = F.binary_cross_entropy_with_logits(model(x[b]), y[b], pos_weight=torch.tensor(1.5))
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    losses.append(loss.item())
checks["observer"] = [model[0].act_observer.min_val.item(), model[2].act_observer.max_val.item(), sched.get_last_lr()[0]]
model.eval()
losses.append(F.binary_cross_entropy_with_logits(model(x), y).item())
levels = FakeQuantOp.apply(model[0].weight, 4).unique()
print("levels", levels.numel() <= 16, model[0].act_observer.count)

# pruning


class MaskedLinear(nn.Linear):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("mask", torch.ones_like(self.weight, dtype=torch.bool))

    def forward(self, input):
        return F.linear(input, self.weight * self.mask, self.bias)

    def prune(self, threshold):
        self.mask.data = self.mask & (self.weight.abs() > threshold)
        self.weight.data[~self.mask] = 0.0

    def extra_repr(self):
        return super().extra_repr() + f", sparsity={1 - self.mask.float().mean().item():.2f}"


torch.manual_seed(15)
net = nn.Sequential()
net.add_module("fc1", MaskedLinear(6, 24))
net.append(nn.SELU())
net.append(MaskedLinear(24, 1))
initial = copy.deepcopy(net.state_dict())
for rnd in range(3):
    opt = torch.optim.ASGD(net.parameters(), lr=0.1)
    for _ in range(6):
        opt.zero_grad()
        loss = F.soft_margin_loss(net(x).squeeze(1), 2 * y - 1)
        loss.backward()
        for m in net.modules():
            if isinstance(m, MaskedLinear):
                m.weight.grad.mul_(m.mask)
        opt.step()
        losses.append(loss.item())
    allw = torch.cat([m.weight.detach().abs()[m.mask] for m in net if isinstance(m, MaskedLinear)])
    k = int(0.3 * allw.numel())
    threshold = allw.kthvalue(k).values
    for name, m in net.named_modules():
        if hasattr(m, "prune"):
            m.prune(threshold)
    rewind = {kk: v for kk, v in initial.items() if "mask" not in kk}
    missing = net.load_state_dict(rewind, strict=False)
    print(net, missing.missing_keys)
    with torch.no_grad():
        for m in net.children():
            if isinstance(m, MaskedLinear):
                m.weight[~m.mask] = 0
checks["sparsity"] = [float((m.weight == 0).float().mean()) for m in (net[0], net[2])]
print(sum(torch.count_nonzero(p) for p in net.parameters()))


# binarised network with sign STE by hooks
class BinarySign(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sign().add(0.01).sign()

    @staticmethod
    def backward(ctx, g):
        (input,) = ctx.saved_tensors
        return g.masked_fill(input.abs() > 1, 0)


torch.manual_seed(16)
lin1, lin2 = nn.Linear(6, 32), nn.Linear(32, 1)
opt = torch.optim.Rprop([*lin1.parameters(), *lin2.parameters()], lr=0.01)
grads = []
lin1.weight.register_hook(lambda g: grads.append(g.norm().item()))
for _ in range(8):
    h = F.linear(x, BinarySign.apply(lin1.weight), lin1.bias)
    h = BinarySign.apply(h / 2)
    loss = F.mse_loss(torch.sigmoid(lin2(h))[:, 0], y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    lin1.weight.data.clamp_(-1, 1)
    losses.append(loss.item())
checks["grads"] = grads
