"""A graph convolutional network that finds the communities of a graph from a few labelled nodes."""

import math

import torch
import torch.nn.functional as F
import torch.optim as optim
from torch.nn import Module
from torch.nn.parameter import Parameter

torch.manual_seed(42)
losses = []

# A graph of three communities: edges are likely inside of one, and rare between two.
n_nodes, n_classes, n_features, n_hidden = 60, 3, 16, 16
p_inside, p_between = 0.2, 0.02
n_train, n_val = 4, 6  # in each community; the others are for the test
epochs = 50

per_class = n_nodes // n_classes
labels = torch.arange(n_nodes) // per_class
same = labels.unsqueeze(0) == labels.unsqueeze(1)
probability = torch.where(same, p_inside, p_between)
adjacency = (torch.rand(n_nodes, n_nodes) < probability).float().triu(diagonal=1)
adjacency = adjacency + adjacency.T
features = torch.randn(n_nodes, n_features)
features[torch.arange(n_nodes), labels] += 1.0


def normalize(mx):
    """Row-normalizes a matrix."""
    rowsum = mx.sum(1)
    r_inv = rowsum.pow(-1)
    r_inv[torch.isinf(r_inv)] = 0.0
    return torch.diag(r_inv) @ mx


adj = normalize(adjacency + torch.eye(n_nodes)).to_sparse()
starts = [c * per_class for c in range(n_classes)]
idx_train = torch.cat([torch.arange(s, s + n_train) for s in starts])
idx_val = torch.cat([torch.arange(s + n_train, s + n_train + n_val) for s in starts])
idx_test = torch.cat([torch.arange(s + n_train + n_val, s + per_class) for s in starts])


class GraphConvolution(Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        output = torch.spmm(adj, support)
        if self.bias is not None:
            return output + self.bias
        else:
            return output

    def __repr__(self):
        return f"{self.__class__.__name__} ({self.in_features} -> {self.out_features})"


class GCN(Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super().__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        x = self.gc2(x, adj)
        return F.log_softmax(x, dim=1)


def accuracy(output, labels):
    preds = output.max(1)[1].type_as(labels)
    correct = preds.eq(labels).double()
    correct = correct.sum()
    return correct / len(labels)


model = GCN(nfeat=n_features, nhid=n_hidden, nclass=n_classes, dropout=0.5)
print(model)
optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)


def train(epoch):
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    acc_train = accuracy(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()

    # Evaluates the validation set's performance separately: no dropout.
    model.eval()
    output = model(features, adj)
    loss_val = F.nll_loss(output[idx_val], labels[idx_val])
    acc_val = accuracy(output[idx_val], labels[idx_val])
    losses.append(loss_train.item())
    losses.append(loss_val.item())
    if (epoch + 1) % 10 == 0:
        print(f"Epoch: {epoch + 1:04d} acc_train: {acc_train.item():.4f} acc_val: {acc_val.item():.4f}")


def test():
    model.eval()
    output = model(features, adj)
    loss_test = F.nll_loss(output[idx_test], labels[idx_test])
    acc_test = accuracy(output[idx_test], labels[idx_test])
    print(f"Test set results: accuracy = {acc_test.item():.4f}")
    return loss_test.item()


for epoch in range(epochs):
    train(epoch)
checks = {"test": [test()], "edges": [adj.to_dense().count_nonzero().item()]}
