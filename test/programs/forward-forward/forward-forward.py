"""The forward-forward algorithm (Hinton, 2022): each layer has a goal of its own, no gradient passes between layers."""

import torch
import torch.nn as nn
from torch.optim import Adam

torch.manual_seed(1234)
losses = []
checks = {}
N, FEATURES, HIDDEN, EPOCHS = 60, 24, 40, 8


def overlay_y_on_x(x, y, classes=3):
    x_ = x.clone()
    x_[:, :classes] *= 0.0
    x_[range(x.shape[0]), y] = x.max()
    return x_


class Layer(nn.Linear):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.relu = torch.nn.ReLU()
        self.opt = Adam(self.parameters(), lr=0.03)
        self.threshold = 1.0
        self.num_epochs = EPOCHS

    def forward(self, x):
        x_direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
        return self.relu(torch.mm(x_direction, self.weight.T) + self.bias.unsqueeze(0))

    def train_layer(self, x_pos, x_neg):
        for i in range(self.num_epochs):
            g_pos = self.forward(x_pos).pow(2).mean(1)
            g_neg = self.forward(x_neg).pow(2).mean(1)
            loss = torch.log(1 + torch.exp(torch.cat([-g_pos + self.threshold, g_neg - self.threshold]))).mean()
            losses.append(loss.item())
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        return self.forward(x_pos).detach(), self.forward(x_neg).detach()


class Net(torch.nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.layers = []
        for d in range(len(dims) - 1):
            self.layers += [Layer(dims[d], dims[d + 1])]

    def predict(self, x):
        goodness_per_label = []
        for label in range(3):
            h = overlay_y_on_x(x, label)
            goodness = []
            for layer in self.layers:
                h = layer(h)
                goodness += [h.pow(2).mean(1)]
            goodness_per_label += [sum(goodness).unsqueeze(1)]
        goodness_per_label = torch.cat(goodness_per_label, 1)
        return goodness_per_label.argmax(1)

    def train_net(self, x_pos, x_neg):
        h_pos, h_neg = x_pos, x_neg
        for i, layer in enumerate(self.layers):
            print("training layer", i, "...")
            h_pos, h_neg = layer.train_layer(h_pos, h_neg)
        checks["hidden"] = h_pos[0, :6].tolist()


centres = torch.rand(3, FEATURES)
y = torch.arange(N) % 3
x = (centres[y] + torch.randn(N, FEATURES) * 0.1).clamp(0, 1)
net = Net([FEATURES, HIDDEN, HIDDEN])
x_pos = overlay_y_on_x(x, y)
y_neg = (y + torch.randint(1, 3, (N,))) % 3
x_neg = overlay_y_on_x(x, y_neg)
net.train_net(x_pos, x_neg)
predicted = net.predict(x)
print("train error:", round(1.0 - predicted.eq(y).float().mean().item(), 2))
