"""A child-sum Tree-LSTM (Tai et al., 2015) that evaluates random expressions; each tree has a structure of its own."""

import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(9)
losses = []
checks = {}
EMB_DIM, MEM_DIM, HIDDEN_DIM = 16, 16, 16
N_TRAIN, N_TEST, MAX_DEPTH, MAX_CHILDREN = 40, 12, 3, 3
BATCH_SIZE, EPOCHS = 8, 1

OPERATORS = ["MAX", "MIN", "SUM"]
DIGITS = 5
NUM_CLASSES = DIGITS
VOCAB = OPERATORS + [str(d) for d in range(DIGITS)]


class Tree:
    """A node with its children."""

    def __init__(self, word):
        self.word = word
        self.children = []
        self.state = None

    def size(self):
        return 1 + sum(child.size() for child in self.children)

    def depth(self):
        return 1 + max((child.depth() for child in self.children), default=0)

    def value(self):
        if not self.children:
            return int(self.word)
        values = [child.value() for child in self.children]
        if self.word == "MAX":
            return max(values)
        if self.word == "MIN":
            return min(values)
        return sum(values) % DIGITS

    def __str__(self):
        if not self.children:
            return self.word
        return "[" + " ".join([self.word] + [str(child) for child in self.children]) + "]"


def random_int(low, high):
    return torch.randint(low, high, (1,)).item()


def random_tree(depth):
    if depth == 0 or (depth < MAX_DEPTH and torch.rand(1).item() < 0.4):
        return Tree(str(random_int(0, DIGITS)))
    tree = Tree(OPERATORS[random_int(0, len(OPERATORS))])
    for _ in range(random_int(2, MAX_CHILDREN + 1)):
        tree.children.append(random_tree(depth - 1))
    return tree


class ChildSumTreeLSTM(nn.Module):
    def __init__(self, in_dim, mem_dim):
        super().__init__()
        self.in_dim = in_dim
        self.mem_dim = mem_dim
        self.ioux = nn.Linear(in_dim, 3 * mem_dim)
        self.iouh = nn.Linear(mem_dim, 3 * mem_dim, bias=False)
        self.fx = nn.Linear(in_dim, mem_dim)
        self.fh = nn.Linear(mem_dim, mem_dim, bias=False)

    def node_forward(self, x, child_c, child_h):
        child_h_sum = child_h.sum(dim=0, keepdim=True)
        iou = self.ioux(x) + self.iouh(child_h_sum)
        i, o, u = torch.split(iou, self.mem_dim, dim=1)
        i, o, u = torch.sigmoid(i), torch.sigmoid(o), torch.tanh(u)
        f = torch.sigmoid(self.fh(child_h) + self.fx(x).repeat(len(child_h), 1))
        c = i * u + (f * child_c).sum(dim=0, keepdim=True)
        h = o * torch.tanh(c)
        return c, h

    def forward(self, tree, embedding):
        for child in tree.children:
            self.forward(child, embedding)
        x = embedding(torch.tensor([VOCAB.index(tree.word)]))
        if not tree.children:
            child_c = torch.zeros(1, self.mem_dim)
            child_h = torch.zeros(1, self.mem_dim)
        else:
            child_c, child_h = zip(*(child.state for child in tree.children))
            child_c, child_h = torch.cat(child_c, dim=0), torch.cat(child_h, dim=0)
        tree.state = self.node_forward(x, child_c, child_h)
        return tree.state


class TreeClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(VOCAB), EMB_DIM)
        self.encoder = ChildSumTreeLSTM(EMB_DIM, MEM_DIM)
        self.wh = nn.Linear(MEM_DIM, HIDDEN_DIM)
        self.wp = nn.Linear(HIDDEN_DIM, NUM_CLASSES)

    def forward(self, tree):
        _, h = self.encoder(tree, self.embedding)
        return self.wp(torch.relu(self.wh(h)))


train_trees = [random_tree(MAX_DEPTH) for _ in range(N_TRAIN)]
test_trees = [random_tree(MAX_DEPTH) for _ in range(N_TEST)]
print(train_trees[0], "=", train_trees[0].value())
print("nodes", sum(tree.size() for tree in train_trees), "depth", max(tree.depth() for tree in train_trees))

model = TreeClassifier()
print(model)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adagrad(model.parameters(), lr=0.05, weight_decay=1e-4)


def train():
    model.train()
    optimizer.zero_grad()
    total_loss = 0.0
    for k, index in enumerate(torch.randperm(len(train_trees)).tolist()):
        tree = train_trees[index]
        output = model(tree)
        loss = criterion(output, torch.tensor([tree.value()]))
        total_loss += loss.item()
        losses.append(loss.item())
        (loss / BATCH_SIZE).backward()
        if (k + 1) % BATCH_SIZE == 0:
            optimizer.step()
            optimizer.zero_grad()
    return total_loss / len(train_trees)


def test():
    model.eval()
    with torch.no_grad():
        total_loss, predictions = 0.0, []
        for tree in test_trees:
            output = model(tree)
            total_loss += criterion(output, torch.tensor([tree.value()])).item()
            predictions.append(output.argmax(dim=1).item())
    right = sum(p == tree.value() for p, tree in zip(predictions, test_trees))
    return total_loss / len(test_trees), right


history = []
for epoch in range(EPOCHS):
    train_loss = train()
    test_loss, right = test()
    history += [train_loss, test_loss]
    print(f"epoch {epoch + 1}: {right} of {N_TEST} right")
checks["history"] = history
checks["memory"] = test_trees[0].state[0].flatten().tolist()
