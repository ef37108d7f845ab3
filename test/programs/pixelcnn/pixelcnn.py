# PixelCNN: each pixel is predicted from those before it, by convolutions whose weights are masked in place at every call
import torch
from torch import nn, optim
import torch.nn.functional as F
from torch.utils import data

torch.manual_seed(2)
losses = []
checks = {}
fm, size, n_images, batch_size, epochs = 8, 8, 24, 8, 3


class MaskedConv2d(nn.Conv2d):
    def __init__(self, mask_type, *args, **kwargs):
        super(MaskedConv2d, self).__init__(*args, **kwargs)
        assert mask_type in {"A", "B"}
        self.register_buffer("mask", self.weight.data.clone())
        _, _, kH, kW = self.weight.size()
        self.mask.fill_(1)
        self.mask[:, :, kH // 2, kW // 2 + (mask_type == "B"):] = 0
        self.mask[:, :, kH // 2 + 1:] = 0

    def forward(self, x):
        self.weight.data *= self.mask
        return super(MaskedConv2d, self).forward(x)


class GatedBlock(nn.Module):
    def __init__(self, d, k):
        super().__init__()
        self.conv = MaskedConv2d("B", d, 2 * d, kernel_size=(k, k), padding=(k // 2, k // 2), bias=False)
        self.norm = nn.GroupNorm(2, 2 * d)

    def forward(self, x):
        a, b = torch.split(self.norm(self.conv(x)), x.shape[1], dim=1)
        return x + torch.tanh(a) * torch.sigmoid(b)


net = nn.Sequential(
    MaskedConv2d("A", 1, fm, 7, 1, 3, bias=False), nn.BatchNorm2d(fm), nn.ReLU(True),
    GatedBlock(fm, 3),
    GatedBlock(fm, 5),
    nn.Conv2d(fm, 4, 1))
print(net)
print(net[0].mask[0, 0])
images = (torch.rand(n_images, 1, size, size).cumsum(2) * 0.5).clamp_(0, 0.999)
tr = data.DataLoader(data.TensorDataset(images, torch.zeros(n_images)), batch_size=batch_size, shuffle=True, num_workers=0, drop_last=True)
sample = torch.empty(4, 1, size, size)
optimizer = optim.Adam(net.parameters())
for epoch in range(epochs):
    err_tr = []
    net.train(True)
    for input, _ in tr:
        target = (input[:, 0] * 4).long()
        loss = F.cross_entropy(net(input), target)
        err_tr.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        sample.fill_(0)
        net.train(False)
        for i in range(size):
            for j in range(size):
                out = net(sample)
                probs = F.softmax(out[:, :, i, j], dim=-1).data
                sample[:, :, i, j] = torch.multinomial(probs, 1).float() / 4.0
    checks["sample%d" % epoch] = sample.flatten().tolist()
    print("epoch={}; nll_tr={:.4f}".format(epoch, torch.tensor(err_tr).mean()))
print(sample[0, 0])
w = net[0].weight
print((w.data == 0).sum().item(), w.grad is not None, (w.grad[:, :, 4:] != 0).any())
print("0.mask" in net.state_dict(), sum(p.numel() for p in net.parameters()))
state = net.state_dict()
state = {k: v for k, v in state.items() if not k.endswith("mask")}
missing = net.load_state_dict(state, strict=False)
print(missing)
