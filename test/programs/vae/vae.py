"""A variational autoencoder of small pictures: reconstruction error plus KL divergence, both summed."""

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
losses = []
size, n_images, n_train, batch_size, epochs = 8, 128, 96, 32, 8
pixels, hidden, latent = size * size, 48, 4

# Small pictures: a bright square somewhere on a dim ground.
images = torch.rand(n_images, 1, size, size) * 0.2
corners = torch.randint(0, size - 3, (n_images, 2))
for i in range(n_images):
    row, column = corners[i].tolist()
    images[i, 0, row : row + 4, column : column + 4] += 0.7

train_loader = DataLoader(TensorDataset(images[:n_train]), batch_size=batch_size, shuffle=True)
test_loader = DataLoader(TensorDataset(images[n_train:]), batch_size=batch_size, shuffle=False)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, pixels))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, pixels), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-3)


def train(epoch):
    model.train()
    train_loss = 0
    for batch_idx, (batch,) in enumerate(train_loader):
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(batch)
        loss = loss_function(recon_batch, batch, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        losses.append(loss.item())
        optimizer.step()
        if batch_idx % 2 == 0:
            print(f"Train Epoch: {epoch} [{batch_idx * len(batch)}/{len(train_loader.dataset)}]")
    print(f"====> Epoch: {epoch} Average loss: {train_loss / len(train_loader.dataset):.2f}")


def test():
    model.eval()
    test_loss = 0
    with torch.no_grad():
        for (batch,) in test_loader:
            recon_batch, mu, logvar = model(batch)
            test_loss += loss_function(recon_batch, batch, mu, logvar).item()
    losses.append(test_loss / len(test_loader.dataset))
    print(f"====> Test set loss: {losses[-1]:.1f}")


for epoch in range(1, epochs + 1):
    train(epoch)
    test()

with torch.no_grad():
    sample = model.decode(torch.randn(6, latent)).view(6, 1, size, size)
checks = {"sample": sample.mean(dim=(1, 2, 3)).tolist(), "mu": model.encode(images[:2].view(-1, pixels))[0].flatten().tolist()}
