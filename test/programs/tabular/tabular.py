"""A table with categories and numbers: an embedding each, batch norm, dropout; one output for a price."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(4)
losses = []
checks = {}
N, N_TRAIN, BATCH, EPOCHS = 120, 96, 32, 6
HIDDEN_1, HIDDEN_2 = 24, 12
CARDINALITIES = {"district": 6, "kind": 3, "heating": 4}


class Houses(Dataset):
    def __init__(self, n):
        self.cats = torch.stack([torch.randint(0, c, (n,)) for c in CARDINALITIES.values()], dim=1)
        self.conts = torch.rand(n, 3)
        worth = torch.tensor([1.0, 2.0, 0.5, 1.5, 3.0, 0.2])
        price = worth[self.cats[:, 0]] + 2 * self.conts[:, 0] * (1 + self.cats[:, 1]) - self.conts[:, 2]
        self.target = price + 0.05 * torch.randn(n)

    def __len__(self):
        return len(self.target)

    def __getitem__(self, i):
        return {"cats": self.cats[i], "conts": self.conts[i], "price": self.target[i]}


class TabularModel(nn.Module):
    def __init__(self, emb_szs, n_cont, out_sz, layers, p=0.1):
        super().__init__()
        self.embeds = nn.ModuleDict({name: nn.Embedding(ni, nf) for name, (ni, nf) in emb_szs.items()})
        self.emb_drop = nn.Dropout(p)
        self.bn_cont = nn.BatchNorm1d(n_cont)
        layerlist = []
        n_emb = sum(nf for ni, nf in emb_szs.values())
        n_in = n_emb + n_cont
        for i in layers:
            layerlist.append(nn.Linear(n_in, i))
            layerlist.append(nn.ReLU(inplace=True))
            layerlist.append(nn.BatchNorm1d(i))
            layerlist.append(nn.Dropout(p))
            n_in = i
        layerlist.append(nn.Linear(layers[-1], out_sz))
        self.layers = nn.Sequential(*layerlist)

    def forward(self, x_cat, x_cont):
        embeddings = []
        for i, e in enumerate(self.embeds.values()):
            embeddings.append(e(x_cat[:, i]))
        x = torch.cat(embeddings, 1)
        x = self.emb_drop(x)
        x_cont = self.bn_cont(x_cont)
        x = torch.cat([x, x_cont], 1)
        return self.layers(x)


dataset = Houses(N)
train_set, val_set = random_split(dataset, [N_TRAIN, N - N_TRAIN])
train_loader = DataLoader(train_set, batch_size=BATCH, shuffle=True)
val_loader = DataLoader(val_set, batch_size=N - N_TRAIN)
emb_szs = {name: (size, min(50, (size + 1) // 2)) for name, size in CARDINALITIES.items()}
model = TabularModel(emb_szs, 3, 1, [HIDDEN_1, HIDDEN_2])
print(model)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(EPOCHS):
    model.train()
    for batch in train_loader:
        y_pred = model(batch["cats"], batch["conts"])
        loss = torch.sqrt(criterion(y_pred.squeeze(1), batch["price"]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        for batch in val_loader:
            y_val = model(batch["cats"], batch["conts"])
            loss = torch.sqrt(criterion(y_val.squeeze(1), batch["price"]))
    print(f"epoch: {epoch + 1:3}  batches: {len(train_loader)}")
checks["rmse"] = [loss.item()]
checks["prices"] = y_val[:4].flatten().tolist()
