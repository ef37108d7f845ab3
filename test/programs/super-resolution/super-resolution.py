"""Super-resolution with an efficient sub-pixel convolutional network (Shi et al., 2016), on drawn patterns."""

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim

torch.manual_seed(7)
losses = []
checks = {}
UPSCALE = 3
N, SIZE, BATCH, EPOCHS = 24, 24, 8, 5


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 32, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(32, 32, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(32, 16, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(16, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        x = self.pixel_shuffle(self.conv4(x))
        return x

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


def pictures(n, size):
    """Waves of random direction and length."""
    grid = torch.linspace(-1, 1, size)
    ys, xs = torch.meshgrid(grid, grid, indexing="ij")
    angle = torch.rand(n, 1, 1) * 3.14159
    frequency = torch.rand(n, 1, 1) * 4 + 1
    wave = torch.sin(frequency * (xs * torch.cos(angle) + ys * torch.sin(angle)))
    return (wave * 0.5 + 0.5).unsqueeze(1)


target = pictures(N, SIZE)
small = nn.functional.avg_pool2d(target, UPSCALE)
model = Net(upscale_factor=UPSCALE)
print(model)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=0.003)

for epoch in range(1, EPOCHS + 1):
    epoch_loss = 0
    for start in range(0, len(small), BATCH):
        x, y = small[start : start + BATCH], target[start : start + BATCH]
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        epoch_loss += loss.item()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    print("===> Epoch {} Complete: Avg. Loss: {:.3f}".format(epoch, epoch_loss / (N / BATCH)))

with torch.no_grad():
    prediction = model(small)
    mse = criterion(prediction, target)
    psnr = 10 * torch.log10(1 / mse)
    checks["psnr"] = [psnr.item()]
    print("shape", tuple(prediction.shape))
