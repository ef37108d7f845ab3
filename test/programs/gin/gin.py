"""A graph isomorphism network (Xu et al., 2019) on batches of random graphs, whose sizes change with each batch."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
losses = []
checks = {}
N_TRAIN, N_TEST, BATCH, EPOCHS = 48, 16, 12, 5
MIN_NODES, MAX_NODES, HIDDEN, LAYERS = 5, 12, 16, 3
NUM_FEATURES, NUM_CLASSES = 6, 2


class Data:
    """A graph: features of its nodes, edges as two rows of indices, and its class."""

    def __init__(self, x, edge_index, y):
        self.x = x
        self.edge_index = edge_index
        self.y = y

    @property
    def num_nodes(self):
        return self.x.size(0)


class Batch:
    """Graphs as one graph of components that aren't connected."""

    def __init__(self, graphs):
        self.num_graphs = len(graphs)
        self.x = torch.cat([g.x for g in graphs])
        self.y = torch.tensor([g.y for g in graphs])
        edges, offset = [], 0
        for g in graphs:
            edges.append(g.edge_index + offset)
            offset += g.num_nodes
        self.edge_index = torch.cat(edges, dim=1)
        counts = torch.tensor([g.num_nodes for g in graphs])
        self.batch = torch.repeat_interleave(torch.arange(self.num_graphs), counts)


class DataLoader:
    def __init__(self, graphs, batch_size, shuffle=False):
        self.graphs, self.batch_size, self.shuffle = graphs, batch_size, shuffle

    def __iter__(self):
        n = len(self.graphs)
        order = torch.randperm(n).tolist() if self.shuffle else list(range(n))
        for start in range(0, n, self.batch_size):
            yield Batch([self.graphs[i] for i in order[start : start + self.batch_size]])


def random_graph():
    """Two communities or none, with the same number of edges on average; a node's features are its degree."""
    n = torch.randint(MIN_NODES, MAX_NODES + 1, (1,)).item()
    y = torch.randint(0, 2, (1,)).item()
    group = torch.arange(n) % 2
    same = group.unsqueeze(0) == group.unsqueeze(1)
    probability = torch.where(same, 0.7, 0.1) if y == 1 else torch.full((n, n), 0.4)
    upper = (torch.rand(n, n) < probability).triu(diagonal=1)
    adjacency = upper | upper.t()
    edge_index = adjacency.nonzero().t().contiguous()
    degree = torch.zeros(n).index_add_(0, edge_index[0], torch.ones(edge_index.size(1)))
    x = F.one_hot(degree.long().clamp(max=NUM_FEATURES - 1), NUM_FEATURES).float()
    return Data(x, edge_index, y)


def global_add_pool(x, batch, size):
    return torch.zeros(size, x.size(-1)).index_add_(0, batch, x)


def global_mean_pool(x, batch, size):
    index = batch.unsqueeze(-1).expand_as(x)
    total = torch.zeros(size, x.size(-1)).scatter_add_(0, index, x)
    count = torch.zeros(size).scatter_add_(0, batch, torch.ones(batch.size(0)))
    return total / count.clamp(min=1).unsqueeze(-1)


def global_max_pool(x, batch, size):
    index = batch.unsqueeze(-1).expand_as(x)
    return torch.zeros(size, x.size(-1)).scatter_reduce(0, index, x, reduce="amax", include_self=False)


class GINConv(nn.Module):
    def __init__(self, mlp, eps=0.0, train_eps=False):
        super().__init__()
        self.nn = mlp
        self.initial_eps = eps
        if train_eps:
            self.eps = nn.Parameter(torch.tensor([eps]))
        else:
            self.register_buffer("eps", torch.tensor([eps]))

    def forward(self, x, edge_index):
        src, dst = edge_index
        out = torch.zeros_like(x).index_add(0, dst, x[src])
        out = out + (1 + self.eps) * x
        return self.nn(out)


class GIN(nn.Module):
    def __init__(self, in_channels, hidden_channels, out_channels, num_layers):
        super().__init__()
        self.convs = nn.ModuleList()
        self.batch_norms = nn.ModuleList()
        for _ in range(num_layers):
            mlp = nn.Sequential(
                nn.Linear(in_channels, 2 * hidden_channels, bias=False),
                nn.BatchNorm1d(2 * hidden_channels),
                nn.ReLU(),
                nn.Linear(2 * hidden_channels, hidden_channels, bias=False),
            )
            self.convs.append(GINConv(mlp, train_eps=True))
            self.batch_norms.append(nn.BatchNorm1d(hidden_channels))
            in_channels = hidden_channels
        self.lin1 = nn.Linear(3 * hidden_channels, hidden_channels)
        self.lin2 = nn.Linear(hidden_channels, out_channels)

    def forward(self, x, edge_index, batch, size):
        for conv, batch_norm in zip(self.convs, self.batch_norms):
            x = F.relu(batch_norm(conv(x, edge_index)))
        x = torch.cat(
            [global_add_pool(x, batch, size), global_mean_pool(x, batch, size), global_max_pool(x, batch, size)], dim=1
        )
        x = F.relu(self.lin1(x))
        x = F.dropout(x, p=0.5, training=self.training)
        x = self.lin2(x)
        return F.log_softmax(x, dim=-1)


dataset = [random_graph() for _ in range(N_TRAIN + N_TEST)]
print("nodes", sum(g.num_nodes for g in dataset), "edges", sum(g.edge_index.size(1) for g in dataset))
train_loader = DataLoader(dataset[:N_TRAIN], BATCH, shuffle=True)
test_loader = DataLoader(dataset[N_TRAIN:], BATCH)
model = GIN(NUM_FEATURES, HIDDEN, NUM_CLASSES, LAYERS)
print(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)


def train():
    model.train()
    total_loss = 0
    for data in train_loader:
        optimizer.zero_grad()
        out = model(data.x, data.edge_index, data.batch, data.num_graphs)
        loss = F.nll_loss(out, data.y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        total_loss += loss.item() * data.num_graphs
    return total_loss / N_TRAIN


@torch.no_grad()
def test(loader):
    model.eval()
    total_correct = 0
    for data in loader:
        out = model(data.x, data.edge_index, data.batch, data.num_graphs)
        pred = out.argmax(dim=-1)
        total_correct += int((pred == data.y).sum())
    return total_correct


means = []
for epoch in range(1, EPOCHS + 1):
    means.append(train())
    correct = test(test_loader)
    scheduler.step()
    print(f"epoch {epoch}: {correct} of {N_TEST} right, lr {scheduler.get_last_lr()[0]:g}")
checks["means"] = means
checks["eps"] = [conv.eps.item() for conv in model.convs]
with torch.no_grad():
    data = next(iter(test_loader))
    checks["out"] = model(data.x, data.edge_index, data.batch, data.num_graphs).flatten().tolist()
