"""A U-Net (Ronneberger et al., 2015) that finds discs in noise: Dice and cross-entropy, batch norm, skips."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
losses = []
checks = {"dice": []}
WIDTH, SIZE, N_TRAIN, N_VAL, BATCH, EPOCHS = 4, 17, 20, 4, 4, 3


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(in_channels, out_channels))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear=True):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(in_channels, out_channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        diff_y = x2.size()[2] - x1.size()[2]
        diff_x = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diff_x // 2, diff_x - diff_x // 2, diff_y // 2, diff_y - diff_y // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes, width=WIDTH):
        super().__init__()
        self.inc = DoubleConv(n_channels, width)
        self.down1 = Down(width, width * 2)
        self.down2 = Down(width * 2, width * 2)
        self.up1 = Up(width * 4, width, bilinear=True)
        self.up2 = Up(width * 2, width, bilinear=False)
        self.outc = nn.Conv2d(width, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x = self.up1(x3, x2)
        x = self.up2(torch.cat([x, x2[:, :WIDTH]], dim=1), x1)
        return self.outc(x)


def discs(n, size=SIZE):
    axis = torch.arange(size).float()
    ys, xs = torch.meshgrid(axis, axis, indexing="ij")
    centre = torch.rand(n, 2, 1, 1) * (size - 6) + 3
    radius = torch.rand(n, 1, 1) * 3 + 2
    mask = ((ys - centre[:, 0]) ** 2 + (xs - centre[:, 1]) ** 2 < radius**2).long()
    image = mask.float() + torch.randn(n, size, size) * 0.3
    return image.unsqueeze(1), mask


def dice_coeff(input, target, epsilon=1e-6):
    inter = 2 * (input * target).sum(dim=(-1, -2, -3))
    sets_sum = input.sum(dim=(-1, -2, -3)) + target.sum(dim=(-1, -2, -3))
    sets_sum = torch.where(sets_sum == 0, inter, sets_sum)
    return ((inter + epsilon) / (sets_sum + epsilon)).mean()


images, masks = discs(N_TRAIN + N_VAL)
model = UNet(1, 2)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=1)
criterion = nn.CrossEntropyLoss()
for epoch in range(EPOCHS):
    model.train()
    for i in range(0, N_TRAIN, BATCH):
        x, y = images[i : i + BATCH], masks[i : i + BATCH]
        pred = model(x)
        loss = criterion(pred, y)
        loss += 1 - dice_coeff(F.softmax(pred, dim=1).float(), F.one_hot(y, 2).permute(0, 3, 1, 2).float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        guess = model(images[N_TRAIN:]).argmax(dim=1)
        score = dice_coeff((guess == 1).float(), (masks[N_TRAIN:] == 1).float())
    scheduler.step(score)
    print(f"epoch {epoch + 1}, lr {optimizer.param_groups[0]['lr']}")
checks["dice"].append(score.item())
checks["norm"] = [sum(p.norm().item() for p in model.parameters())]
