"""A Fourier neural operator that learns to solve a Poisson equation: weights of the lowest frequencies, products of complex numbers."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
losses = []

n_train, n_test, size = 16, 4, 16
width, modes, n_layers = 8, 4, 2
batch_size, epochs = 8, 12


def make_data(n):
    """Smooth random sources on a periodic grid, and the solutions: each frequency divided by the square of its size."""
    k = torch.fft.fftfreq(size, d=1 / size)
    k_half = torch.fft.rfftfreq(size, d=1 / size)
    squares = k[:, None] ** 2 + k_half[None, :] ** 2
    noise = torch.fft.rfft2(torch.randn(n, size, size), norm="ortho")
    source = noise * torch.exp(-squares / 20)
    source[:, 0, 0] = 0
    squares[0, 0] = 1
    return torch.fft.irfft2(source, norm="ortho"), torch.fft.irfft2(source / squares, norm="ortho") * 4


class SpectralConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, modes):
        super().__init__()
        self.out_channels, self.modes = out_channels, modes
        scale = 1 / (in_channels * out_channels)
        shape = (in_channels, out_channels, modes, modes, 2)
        self.weight1 = nn.Parameter(scale * torch.rand(shape))
        self.weight2 = nn.Parameter(scale * torch.rand(shape))

    def compl_mul2d(self, input, weight):
        return torch.einsum("bixy,ioxy->boxy", input, torch.view_as_complex(weight))

    def forward(self, x):
        m = self.modes
        x_ft = torch.fft.rfft2(x)
        out_ft = torch.zeros(x.size(0), self.out_channels, x.size(-2), x.size(-1) // 2 + 1, dtype=torch.cfloat)
        out_ft[:, :, :m, :m] = self.compl_mul2d(x_ft[:, :, :m, :m], self.weight1)
        out_ft[:, :, -m:, :m] = self.compl_mul2d(x_ft[:, :, -m:, :m], self.weight2)
        return torch.fft.irfft2(out_ft, s=(x.size(-2), x.size(-1)))


class FNO2d(nn.Module):
    def __init__(self, width, modes, n_layers):
        super().__init__()
        self.fc0 = nn.Linear(3, width)
        self.spectral = nn.ModuleList([SpectralConv2d(width, width, modes) for _ in range(n_layers)])
        self.pointwise = nn.ModuleList([nn.Conv2d(width, width, 1) for _ in range(n_layers)])
        self.fc1 = nn.Linear(width, 32)
        self.fc2 = nn.Linear(32, 1)

    def grid(self, x):
        line = torch.linspace(0, 1, x.size(1))
        gx, gy = torch.meshgrid(line, line, indexing="ij")
        return torch.stack([gx, gy], dim=-1).expand(x.size(0), -1, -1, -1)

    def forward(self, x):
        x = torch.cat([x.unsqueeze(-1), self.grid(x)], dim=-1)
        x = self.fc0(x).permute(0, 3, 1, 2)
        for i, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise)):
            x = spectral(x) + pointwise(x)
            if i < len(self.spectral) - 1:
                x = F.gelu(x)
        x = x.permute(0, 2, 3, 1)
        return self.fc2(F.gelu(self.fc1(x))).squeeze(-1)


def relative_error(output, target):
    difference = torch.linalg.vector_norm(output - target, dim=(1, 2))
    return (difference / torch.linalg.vector_norm(target, dim=(1, 2))).mean()


sources, solutions = make_data(n_train + n_test)
model = FNO2d(width, modes, n_layers)
print(model)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-4)

for epoch in range(epochs):
    for first in range(0, n_train, batch_size):
        batch = slice(first, first + batch_size)
        optimizer.zero_grad()
        loss = relative_error(model(sources[batch]), solutions[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

with torch.no_grad():
    output = model(sources[n_train:])
    spectrum = torch.fft.fftshift(torch.fft.fft2(output).abs(), dim=(1, 2)).mean(0)
checks = {
    "test": [relative_error(output, solutions[n_train:]).item()],
    "spectrum": spectrum[size // 2].tolist(),
    "gradient": [model.spectral[0].weight1.grad.norm().item()],
}
