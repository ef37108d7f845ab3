"""A siamese network: pairs with a contrastive loss, then triplets, and the nearest neighbour as the answer."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(17)
losses = []
checks = {}

# Signatures of six writers: a shape of their own, and noise.
n_writers, per_writer, size = 6, 10, 12
batch_size, epochs = 12, 6
side = ((size - 3) // 2 + 1) // 2  # of the last feature map
shapes = torch.randn(n_writers, 1, size, size)
drawings = shapes.repeat_interleave(per_writer, dim=0) + 0.6 * torch.randn(n_writers * per_writer, 1, size, size)
writers = torch.arange(n_writers).repeat_interleave(per_writer)


class SiameseDataset(Dataset):
    """Pairs: two drawings of one writer with label 0, or of two writers with label 1."""

    def __init__(self, drawings, writers):
        self.drawings = drawings
        self.writers = writers

    def __getitem__(self, index):
        same = index % 2 == 0
        while True:
            other = int(torch.randint(len(self.drawings), (1,)))
            if (self.writers[other] == self.writers[index]).item() == same:
                break
        return self.drawings[index], self.drawings[other], torch.tensor([0.0 if same else 1.0])

    def __len__(self):
        return len(self.drawings)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn1 = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 4, kernel_size=3),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 8, kernel_size=3, stride=2),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(8),
            nn.MaxPool2d(2, stride=2),
        )
        self.fc1 = nn.Sequential(
            nn.Linear(8 * side * side, 24),
            nn.ReLU(inplace=True),
            nn.Linear(24, 6),
        )

    def forward_once(self, x):
        output = self.cnn1(x)
        output = output.view(output.size()[0], -1)
        output = self.fc1(output)
        return output

    def forward(self, input1, input2):
        output1 = self.forward_once(input1)
        output2 = self.forward_once(input2)
        return output1, output2


class ContrastiveLoss(torch.nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        euclidean_distance = F.pairwise_distance(output1, output2, keepdim=True)
        loss_contrastive = torch.mean(
            (1 - label) * torch.pow(euclidean_distance, 2)
            + (label) * torch.pow(torch.clamp(self.margin - euclidean_distance, min=0.0), 2)
        )
        return loss_contrastive


net = SiameseNetwork()
criterion = ContrastiveLoss()
optimizer = optim.Adam(net.parameters(), lr=0.005)
train_dataloader = DataLoader(SiameseDataset(drawings, writers), shuffle=True, batch_size=batch_size)

for epoch in range(0, epochs):
    for i, (img0, img1, label) in enumerate(train_dataloader, 0):
        optimizer.zero_grad()
        output1, output2 = net(img0, img1)
        loss_contrastive = criterion(output1, output2, label)
        loss_contrastive.backward()
        optimizer.step()
        losses.append(loss_contrastive.item())
    print(f"Epoch number {epoch}\n Current loss {loss_contrastive.item():.2f}")

# The same network, with triplets: an anchor, another of its writer, one of the next writer.
triplet_loss = nn.TripletMarginLoss(margin=1.0, p=2)
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
anchors = torch.arange(0, len(drawings), 2)
for step in range(15):
    optimizer.zero_grad(set_to_none=True)
    anchor = net.forward_once(drawings[anchors])
    positive = net.forward_once(drawings[anchors + 1])
    negative = net.forward_once(drawings[(anchors + per_writer) % len(drawings)])
    loss = triplet_loss(anchor, positive, negative)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

net.eval()
with torch.no_grad():
    embeddings = net.forward_once(drawings)
    distances = torch.cdist(embeddings, embeddings)
    distances.fill_diagonal_(float("inf"))
    nearest = distances.argmin(dim=1)
    right = (writers[nearest] == writers).sum().item()
    similarity = F.cosine_similarity(embeddings[0], embeddings[1], dim=0)
print(f"{right} of {len(drawings)} nearest neighbours are of the same writer")
checks["similarity"] = [similarity.item()]
checks["distances"] = distances[0, 1:7].tolist()
