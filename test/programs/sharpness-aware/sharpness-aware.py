"""Sharpness-aware minimization, Lookahead and Lion as optimizers of the program, its own schedule, early stopping."""
import math
import copy
from collections import defaultdict
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
torch.manual_seed(17)
losses = []
checks = {}

class SAM(Optimizer):
    def __init__(self, params, base_optimizer, rho=0.05, adaptive=False, **kwargs):
        assert rho >= 0.0, f"Invalid rho, should be non-negative: {rho}"
        defaults = dict(rho=rho, adaptive=adaptive, **kwargs)
        super().__init__(params, defaults)
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups
        self.defaults.update(self.base_optimizer.defaults)
    @torch.no_grad()
    def first_step(self, zero_grad=False):
        grad_norm = self._grad_norm()
        for group in self.param_groups:
            scale = group["rho"] / (grad_norm + 1e-12)
            for p in group["params"]:
                if p.grad is None:
                    continue
                self.state[p]["old_p"] = p.data.clone()
                e_w = (torch.pow(p, 2) if group["adaptive"] else 1.0) * p.grad * scale.to(p)
                p.add_(e_w)
        if zero_grad:
            self.zero_grad()
    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data = self.state[p]["old_p"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()
    @torch.no_grad()
    def step(self, closure=None):
        assert closure is not None, "Sharpness Aware Minimization requires closure, but it was not provided"
        closure = torch.enable_grad()(closure)
        self.first_step(zero_grad=True)
        closure()
        self.second_step()
    def _grad_norm(self):
        shared_device = self.param_groups[0]["params"][0].device
        norm = torch.norm(
            torch.stack([
                ((torch.abs(p) if group["adaptive"] else 1.0) * p.grad).norm(p=2).to(shared_device)
                for group in self.param_groups for p in group["params"]
                if p.grad is not None
            ]),
            p=2)
        return norm
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.base_optimizer.param_groups = self.param_groups

class Lookahead(Optimizer):
    def __init__(self, optimizer, k=5, alpha=0.5):
        self.optimizer = optimizer
        self.k, self.alpha = k, alpha
        self.param_groups = self.optimizer.param_groups
        self.state = defaultdict(dict)
        self.fast_state = self.optimizer.state
        for group in self.param_groups:
            group["counter"] = 0
    def update(self, group):
        for fast in group["params"]:
            param_state = self.state[fast]
            if "slow_param" not in param_state:
                param_state["slow_param"] = torch.zeros_like(fast.data)
                param_state["slow_param"].copy_(fast.data)
            slow = param_state["slow_param"]
            slow += (fast.data - slow) * self.alpha
            fast.data.copy_(slow)
    def step(self, closure=None):
        loss = self.optimizer.step(closure)
        for group in self.param_groups:
            if group["counter"] == 0:
                self.update(group)
            group["counter"] += 1
            if group["counter"] >= self.k:
                group["counter"] = 0
        return loss
    def zero_grad(self):
        self.optimizer.zero_grad()

class Lion(Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        if not 0.0 <= lr:
            raise ValueError("Invalid learning rate: {}".format(lr))
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))
    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                grad = p.grad
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p)
                state["step"] += 1
                exp_avg = state["exp_avg"]
                beta1, beta2 = group["betas"]
                update = exp_avg * beta1 + grad * (1 - beta1)
                p.add_(update.sign(), alpha=-group["lr"])
                exp_avg.mul_(beta2).add_(grad, alpha=1 - beta2)
        return loss

class WarmupCosine(LRScheduler):
    def __init__(self, optimizer, warmup, total, last_epoch=-1):
        self.warmup, self.total = warmup, total
        super().__init__(optimizer, last_epoch)
    def get_lr(self):
        if self.last_epoch < self.warmup:
            return [base * (self.last_epoch + 1) / self.warmup for base in self.base_lrs]
        progress = (self.last_epoch - self.warmup) / (self.total - self.warmup)
        return [0.5 * base * (1 + math.cos(math.pi * progress)) for base in self.base_lrs]

x = torch.randn(48, 6)
target = (x[:, 0] * x[:, 1] > 0).long()

def make():
    return nn.Sequential(nn.Linear(6, 16), nn.SiLU(), nn.Linear(16, 2))

model = make()
optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.2, momentum=0.9)
for _ in range(8):
    def closure():
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        return loss
    loss = closure()
    optimizer.step(closure)
    optimizer.zero_grad()
    losses.append(loss.item())
print(optimizer)
model = make()
optimizer = SAM([{"params": model[0].parameters()}, {"params": model[2].parameters(), "rho": 0.5}], torch.optim.Adam, adaptive=True, lr=0.01)
scheduler = WarmupCosine(optimizer, 3, 10)
for _ in range(8):
    loss = F.cross_entropy(model(x), target, label_smoothing=0.1)
    loss.backward()
    optimizer.first_step(zero_grad=True)
    F.cross_entropy(model(x), target, label_smoothing=0.1).backward()
    optimizer.second_step(zero_grad=True)
    scheduler.step()
    losses.append(loss.item())
    checks.setdefault("lrs", []).extend(scheduler.get_last_lr())
model = make()
optimizer = Lookahead(torch.optim.Adam(model.parameters(), lr=0.02), k=3)
for _ in range(8):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), target)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
model = make()
optimizer = Lion(model.parameters(), lr=0.01, weight_decay=0.1)
scheduler = WarmupCosine(optimizer, warmup=2, total=12)
accum = 3
best, best_state, patience = float("inf"), None, 0
for step in range(10):
    for i, (xb, yb) in enumerate(zip(x.chunk(accum), target.chunk(accum))):
        loss = F.cross_entropy(model(xb), yb) / accum
        loss.backward()
        if (i + 1) % accum == 0:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
    scheduler.step()
    with torch.no_grad():
        val = F.cross_entropy(model(x), target).item()
    losses.append(val)
    if val < best:
        best, best_state, patience = val, copy.deepcopy(model.state_dict()), 0
    else:
        patience += 1
        if patience > 3:
            break
    if step == 5:
        saved = copy.deepcopy(optimizer.state_dict())
        sched_state = scheduler.state_dict()
        clone = copy.deepcopy(model)
model.load_state_dict(best_state)
again = Lion(clone.parameters(), lr=123.0)
again.load_state_dict(saved)
print(again.param_groups[0]["lr"], again.state[next(clone.parameters())]["step"], list(saved.keys()), saved["param_groups"][0]["params"])
print(sorted(sched_state.keys())[:2])
F.cross_entropy(clone(x), target).backward()
again.step()
checks["again"] = [F.cross_entropy(clone(x), target).item(), F.cross_entropy(model(x), target).item(), best]
print(isinstance(again, Optimizer), all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), best_state.values())))
