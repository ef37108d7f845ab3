"""Mixup, label smoothing, warmup with cosine, accumulated gradients with autocast and GradScaler, a moving average, early stopping, checkpoints."""
import copy
import math
import os
import tempfile
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(51)
losses, checks = [], {}
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.GELU(approximate="tanh"), nn.Dropout(p=0.1))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.backbone(x))


def mixup_data(x, y, alpha=1.0):
    lam = torch.distributions.Beta(alpha, alpha).sample().item() if alpha > 0 else 1
    index = torch.randperm(x.size()[0]).to(device)
    mixed_x = lam * x + (1 - lam) * x[index, :]
    return mixed_x, y, y[index], lam


def mixup_criterion(criterion, pred, y_a, y_b, lam):
    return lam * criterion(pred, y_a) + (1 - lam) * criterion(pred, y_b)


def get_cosine_schedule_with_warmup(optimizer, num_warmup_steps, num_training_steps, num_cycles=0.5, last_epoch=-1):
    def lr_lambda(current_step):
        if current_step < num_warmup_steps:
            return float(current_step) / float(max(1, num_warmup_steps))
        progress = float(current_step - num_warmup_steps) / float(max(1, num_training_steps - num_warmup_steps))
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * float(num_cycles) * 2.0 * progress)))
    return LambdaLR(optimizer, lr_lambda, last_epoch)


class EarlyStopping:
    def __init__(self, patience=2, min_delta=0.0):
        self.patience, self.min_delta, self.counter = patience, min_delta, 0
        self.best, self.best_state, self.stop = None, None, False

    def __call__(self, val, model):
        if self.best is None or val < self.best - self.min_delta:
            self.best, self.counter = val, 0
            self.best_state = copy.deepcopy(model.state_dict())
        else:
            self.counter += 1
            self.stop = self.counter >= self.patience


X = torch.randn(160, 10)
W = torch.randn(10, 4)
Y = (X @ W + torch.randn(160, 4)).argmax(-1)
train_set, val_set = random_split(TensorDataset(X, Y), [128, 32], generator=torch.Generator().manual_seed(0))
train_loader = DataLoader(train_set, batch_size=16, shuffle=True, pin_memory=False)
val_loader = DataLoader(val_set, batch_size=32)
print(len(train_set), val_set[0][1], train_set.indices[:5])
model = Mixer().to(device)
no_decay = ["bias", "backbone.1"]
groups = [
    {"params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=2e-2, eps=1e-6)
accumulation_steps = 2
total = 6 * len(train_loader) // accumulation_steps
scheduler = get_cosine_schedule_with_warmup(optimizer, 4, total)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
use_amp = False
scaler = torch.amp.GradScaler("cuda", enabled=use_amp)
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
stopper = EarlyStopping(patience=2)
for epoch in range(6):
    model.train()
    running = 0.0
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(train_loader):
        inputs, targets = inputs.to(device, non_blocking=True), targets.to(device)
        inputs, ta, tb, lam = mixup_data(inputs, targets, 0.4)
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=use_amp):
            outputs = model(inputs)
            loss = mixup_criterion(criterion, outputs, ta, tb, lam) / accumulation_steps
        scaler.scale(loss).backward()
        running += loss.item() * accumulation_steps
        if (i + 1) % accumulation_steps == 0 or i + 1 == len(train_loader):
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            scheduler.step()
            ema.update_parameters(model)
    losses.append(running / len(train_loader))
    losses.append(scheduler.get_last_lr()[0])
    model.eval()
    with torch.inference_mode():
        val, correct = 0.0, 0
        for inputs, targets in val_loader:
            out = ema.module(inputs)
            val += F.cross_entropy(out, targets, reduction="sum").item()
            correct += (out.argmax(dim=1) == targets).sum().item()
    val /= len(val_set)
    losses.append(val)
    stopper(val, model)
    if stopper.stop:
        print("stopped at", epoch)
        break
update_bn(train_loader, ema)
checks["bn"] = ema.module.backbone[1].running_mean[:4].tolist()
print(ema.n_averaged, scaler.is_enabled(), int(scaler.get_scale()))
path = os.path.join(tempfile.mkdtemp(), "checkpoint.pth")
torch.save({"epoch": epoch + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(), "scaler": scaler.state_dict(), "best": stopper.best}, path)
ckpt = torch.load(path, map_location="cpu", weights_only=True)
fresh = Mixer()
print(fresh.load_state_dict(ckpt["model"]), ckpt["epoch"] >= 6, sorted(ckpt))
opt2 = torch.optim.AdamW([{"params": fresh.head.parameters()}, {"params": fresh.backbone.parameters()}], lr=1.0)
try:
    opt2.load_state_dict(ckpt["optimizer"])
except ValueError as e:
    print(e)
opt3 = torch.optim.AdamW([{"params": [p for n, p in fresh.named_parameters() if not any(nd in n for nd in no_decay)]},
                          {"params": [p for n, p in fresh.named_parameters() if any(nd in n for nd in no_decay)]}], lr=1.0)
opt3.load_state_dict(ckpt["optimizer"])
sched2 = get_cosine_schedule_with_warmup(opt3, 4, total)
sched2.load_state_dict({k: v for k, v in ckpt["scheduler"].items() if k != "lr_lambdas"} | {"lr_lambdas": [None, None]})
fresh.eval()
print(torch.equal(fresh(X[:5]), model(X[:5])), sched2.last_epoch, opt3.param_groups[0]["weight_decay"])
model.load_state_dict(stopper.best_state)
checks["best"] = [stopper.best, model.head.bias.sum().item()]
