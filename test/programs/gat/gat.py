"""A graph attention network: every node weighs its neighbours, with several heads."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(72)
losses = []

# A ring of cliques; the class of a node is that of its clique, its features say so only now and then.
n_cliques, clique, n_features, n_classes, n_train = 8, 6, 12, 4, 16
n_hidden, n_heads, epochs, patience = 6, 3, 40, 15
n_nodes = n_cliques * clique
adj = torch.zeros(n_nodes, n_nodes)
for i in range(n_cliques):
    start, end = i * clique, (i + 1) * clique
    adj[start:end, start:end] = 1
    bridge = end % n_nodes
    adj[end - 1, bridge] = adj[bridge, end - 1] = 1
labels = torch.repeat_interleave(torch.arange(n_cliques) % n_classes, clique)
features = F.one_hot(labels, n_features).float() * (torch.rand(n_nodes, 1) < 0.6) + 0.3 * torch.randn(n_nodes, n_features)
perm = torch.randperm(n_nodes)
idx_train, idx_val = perm[:n_train], perm[n_train:]


class GraphAttentionLayer(nn.Module):
    def __init__(self, in_features, out_features, dropout, alpha, concat=True):
        super().__init__()
        self.dropout = dropout
        self.in_features = in_features
        self.out_features = out_features
        self.alpha = alpha
        self.concat = concat
        self.W = nn.Parameter(torch.empty(size=(in_features, out_features)))
        nn.init.xavier_uniform_(self.W.data, gain=1.414)
        self.a = nn.Parameter(torch.empty(size=(2 * out_features, 1)))
        nn.init.xavier_uniform_(self.a.data, gain=1.414)
        self.leakyrelu = nn.LeakyReLU(self.alpha)

    def forward(self, h, adj):
        Wh = torch.mm(h, self.W)
        e = self._prepare_attentional_mechanism_input(Wh)
        zero_vec = -9e15 * torch.ones_like(e)
        attention = torch.where(adj > 0, e, zero_vec)
        attention = F.softmax(attention, dim=1)
        attention = F.dropout(attention, self.dropout, training=self.training)
        h_prime = torch.matmul(attention, Wh)
        if self.concat:
            return F.elu(h_prime)
        else:
            return h_prime

    def _prepare_attentional_mechanism_input(self, Wh):
        Wh1 = torch.matmul(Wh, self.a[: self.out_features, :])
        Wh2 = torch.matmul(Wh, self.a[self.out_features :, :])
        e = Wh1 + Wh2.T
        return self.leakyrelu(e)


class GAT(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout, alpha, nheads):
        super().__init__()
        self.dropout = dropout
        self.attentions = [GraphAttentionLayer(nfeat, nhid, dropout, alpha, concat=True) for _ in range(nheads)]
        for i, attention in enumerate(self.attentions):
            self.add_module(f"attention_{i}", attention)
        self.out_att = GraphAttentionLayer(nhid * nheads, nclass, dropout, alpha, concat=False)

    def forward(self, x, adj):
        x = F.dropout(x, self.dropout, training=self.training)
        x = torch.cat([att(x, adj) for att in self.attentions], dim=1)
        x = F.dropout(x, self.dropout, training=self.training)
        x = F.elu(self.out_att(x, adj))
        return F.log_softmax(x, dim=1)


model = GAT(nfeat=n_features, nhid=n_hidden, nclass=n_classes, dropout=0.4, alpha=0.2, nheads=n_heads)
print(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)

bad_counter, best, best_epoch = 0, float("inf"), 0
accuracies = []
for epoch in range(epochs):
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()

    model.eval()
    with torch.no_grad():
        output = model(features, adj)
        loss_val = F.nll_loss(output[idx_val], labels[idx_val])
        accuracy = (output[idx_val].argmax(dim=-1) == labels[idx_val]).float().mean()
    losses += [loss_train.item(), loss_val.item()]
    accuracies.append(accuracy.item())

    if loss_val.item() < best:
        best, best_epoch, bad_counter = loss_val.item(), epoch, 0
    else:
        bad_counter += 1
    if bad_counter == patience:
        break

print(f"best epoch {best_epoch}, accuracy {accuracies[best_epoch]:.4f}")
checks = {"accuracy": accuracies, "best": [best]}
