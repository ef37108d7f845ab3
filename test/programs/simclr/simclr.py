"""SimCLR (Chen et al., 2020): two views of each picture attract, all others repel (NT-Xent), then a linear probe."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(77)
losses = []
checks = {}
N, SIZE, WIDTH, EPOCHS = 24, 12, 8, 12


class Encoder(nn.Module):
    def __init__(self, out_dim=16):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, WIDTH, 3, stride=2, padding=1),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.GroupNorm(4, 2 * WIDTH),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.projector = nn.Sequential(nn.Linear(2 * WIDTH, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, out_dim))

    def forward(self, x):
        h = self.backbone(x)
        return h, self.projector(h)


def augment(x):
    if torch.rand(1).item() < 0.5:
        x = x.flip(-1)
    shift = int(torch.randint(-2, 3, (1,)))
    x = torch.roll(x, shifts=(shift, -shift), dims=(2, 3))
    brightness = torch.empty(x.size(0), 1, 1, 1).uniform_(0.8, 1.2)
    return x * brightness + 0.05 * torch.randn_like(x)


def info_nce_loss(features, temperature=0.2, n_views=2):
    batch = features.shape[0] // n_views
    labels = torch.cat([torch.arange(batch) for i in range(n_views)], dim=0)
    labels = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()
    features = F.normalize(features, dim=1)
    similarity_matrix = torch.matmul(features, features.T)
    mask = torch.eye(labels.shape[0], dtype=torch.bool)
    labels = labels[~mask].view(labels.shape[0], -1)
    similarity_matrix = similarity_matrix[~mask].view(similarity_matrix.shape[0], -1)
    positives = similarity_matrix[labels.bool()].view(labels.shape[0], -1)
    negatives = similarity_matrix[~labels.bool()].view(similarity_matrix.shape[0], -1)
    logits = torch.cat([positives, negatives], dim=1)
    labels = torch.zeros(logits.shape[0], dtype=torch.long)
    return logits / temperature, labels


y = torch.arange(N) % 3
images = torch.randn(N, 1, SIZE, SIZE) * 0.2
images[y == 0, :, 3:9, 3:9] += 1
images[y == 1, :, ::2] += 1
images[y == 2, :, :, ::3] += 1
model = Encoder()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.SequentialLR(
    optimizer,
    schedulers=[
        torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=3),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS - 3),
    ],
    milestones=[3],
)
for epoch in range(EPOCHS):
    views = torch.cat([augment(images), augment(images)], dim=0)
    _, features = model(views)
    logits, labels = info_nce_loss(features)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
top = logits.topk(1, dim=1).indices.eq(0).float().mean()
checks["top1"] = [top.item()]

model.eval()
with torch.no_grad():
    frozen, _ = model(images)
probe = nn.Linear(2 * WIDTH, 3)
optimizer = torch.optim.Adam(probe.parameters(), lr=0.05)
for _ in range(15):
    loss = F.cross_entropy(probe(frozen), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"lr {scheduler.get_last_lr()[0]:.1e}, probe {100 * (probe(frozen).argmax(1) == y).float().mean().item():.1f} %")
