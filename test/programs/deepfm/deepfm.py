"""DeepFM (Guo et al., 2017): clicks from columns of categories, by a factorization machine and a deep network."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(14)
losses = []
checks = {}
FIELDS, FIELD_SIZE, EMBED_DIM = 6, 20, 4
N_TRAIN, N_TEST, BATCH, EPOCHS = 240, 80, 24, 3
MLP_1, MLP_2 = 16, 8
DROPOUT = 0.2


class FeaturesLinear(nn.Module):
    def __init__(self, field_dims, output_dim=1):
        super().__init__()
        self.fc = nn.Embedding(sum(field_dims), output_dim)
        self.bias = nn.Parameter(torch.zeros((output_dim,)))
        self.register_buffer("offsets", torch.tensor([0, *field_dims[:-1]]).cumsum(0))

    def forward(self, x):
        x = x + self.offsets.unsqueeze(0)
        return torch.sum(self.fc(x), dim=1) + self.bias


class FeaturesEmbedding(nn.Module):
    def __init__(self, field_dims, embed_dim):
        super().__init__()
        self.embedding = nn.Embedding(sum(field_dims), embed_dim)
        self.register_buffer("offsets", torch.tensor([0, *field_dims[:-1]]).cumsum(0))
        nn.init.xavier_uniform_(self.embedding.weight.data)

    def forward(self, x):
        x = x + self.offsets.unsqueeze(0)
        return self.embedding(x)


class FactorizationMachine(nn.Module):
    """Sums the products of all pairs of embeddings, as half of a square of sums minus a sum of squares."""

    def __init__(self, reduce_sum=True):
        super().__init__()
        self.reduce_sum = reduce_sum

    def forward(self, x):
        square_of_sum = torch.sum(x, dim=1) ** 2
        sum_of_square = torch.sum(x**2, dim=1)
        ix = square_of_sum - sum_of_square
        if self.reduce_sum:
            ix = torch.sum(ix, dim=1, keepdim=True)
        return 0.5 * ix


class MultiLayerPerceptron(nn.Module):
    def __init__(self, input_dim, embed_dims, dropout, output_layer=True):
        super().__init__()
        layers = []
        for embed_dim in embed_dims:
            layers.append(nn.Linear(input_dim, embed_dim, bias=False))
            layers.append(nn.BatchNorm1d(embed_dim))
            layers.append(nn.ReLU())
            layers.append(nn.Dropout(p=dropout))
            input_dim = embed_dim
        if output_layer:
            layers.append(nn.Linear(input_dim, 1))
        self.mlp = nn.Sequential(*layers)

    def forward(self, x):
        return self.mlp(x)


class DeepFM(nn.Module):
    def __init__(self, field_dims, embed_dim, mlp_dims, dropout):
        super().__init__()
        self.linear = FeaturesLinear(field_dims)
        self.fm = FactorizationMachine(reduce_sum=True)
        self.embedding = FeaturesEmbedding(field_dims, embed_dim)
        self.embed_output_dim = len(field_dims) * embed_dim
        self.mlp = MultiLayerPerceptron(self.embed_output_dim, mlp_dims, dropout)

    def forward(self, x):
        embed_x = self.embedding(x)
        x = self.linear(x) + self.fm(embed_x) + self.mlp(embed_x.view(-1, self.embed_output_dim))
        return x.squeeze(1)


def make_clicks(n):
    """Few categories of each column are frequent; hidden vectors of the categories say who clicks."""
    x = (torch.rand(n, FIELDS) ** 3 * FIELD_SIZE).long()
    angle = x * (torch.arange(FIELDS) + 1) * 0.7
    hidden = torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1)
    score = (hidden.sum(1).pow(2).sum(-1) - FIELDS) / FIELDS + hidden[..., 0].mean(1)
    y = torch.bernoulli(torch.sigmoid(2 * score))
    return x, y


def roc_auc_score(targets, predictions):
    """The share of pairs that are ordered rightly, by ranks; equal predictions share their mean rank."""
    values, inverse, counts = torch.unique(predictions, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).float()
    ranks = (ends - (counts.float() - 1) / 2)[inverse]
    positives = targets.sum()
    negatives = len(targets) - positives
    return ((ranks[targets == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)).item()


train_set = TensorDataset(*make_clicks(N_TRAIN))
test_set = TensorDataset(*make_clicks(N_TEST))
train_loader = DataLoader(train_set, batch_size=BATCH, shuffle=True)
test_loader = DataLoader(test_set, batch_size=BATCH)
print(len(train_loader), len(test_loader), *train_set[0])
model = DeepFM([FIELD_SIZE] * FIELDS, EMBED_DIM, (MLP_1, MLP_2), DROPOUT)
print(model)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-6)


def train():
    model.train()
    total_loss = 0
    for i, (fields, target) in enumerate(train_loader):
        y = model(fields)
        loss = criterion(y, target.float())
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        total_loss += loss.item()
    return total_loss / len(train_loader)


def test():
    model.eval()
    targets, predicts = [], []
    with torch.no_grad():
        for fields, target in test_loader:
            y = torch.sigmoid(model(fields))
            targets.extend(target.tolist())
            predicts.extend(y.tolist())
    return roc_auc_score(torch.tensor(targets), torch.tensor(predicts)), predicts


means, aucs = [], []
for epoch in range(EPOCHS):
    means.append(train())
    auc, predicts = test()
    aucs.append(auc)
    print(f"epoch {epoch}: auc {auc:.2f}")
checks["means"] = means
checks["auc"] = aucs
checks["predicts"] = predicts[:8]
checks["norms"] = [model.embedding.embedding.weight.norm().item(), model.linear.fc.weight.norm().item()]
