"""Sequences of many lengths, packed: a bidirectional LSTM that classifies them, trained batch by batch."""

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(31)
losses = []
checks = {}
N, SHORTEST, LONGEST, BATCH, EPOCHS = 48, 3, 11, 8, 4
EMBEDDING_DIM, HIDDEN_DIM = 8, 12


class Words(Dataset):
    """Sequences of letters; the class says which of two letters comes more often."""

    def __init__(self, n):
        lengths = torch.randint(SHORTEST, LONGEST + 1, (n,))
        self.items = []
        for length in lengths.tolist():
            seq = torch.randint(1, 6, (length,))
            ones, twos = (seq == 1).sum(), (seq == 2).sum()
            self.items.append((seq, int((ones > twos).item())))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def collate(batch):
    batch = sorted(batch, key=lambda item: len(item[0]), reverse=True)
    sequences, labels = zip(*batch)
    lengths = torch.tensor([len(s) for s in sequences])
    return pad_sequence(sequences, batch_first=True), lengths, torch.tensor(labels)


class Classifier(nn.Module):
    def __init__(self, vocab, embedding_dim, hidden_dim):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embedding_dim, padding_idx=0)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1)
        self.fc = nn.Linear(hidden_dim * 2, 2)

    def forward(self, x, lengths):
        embedded = self.embedding(x)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True)
        output, (hidden, cell) = self.lstm(packed)
        output, output_lengths = pad_packed_sequence(output, batch_first=True)
        assert torch.equal(output_lengths, lengths)
        pooled = output.sum(dim=1) / lengths.unsqueeze(1)
        last = torch.cat((hidden[-2], hidden[-1]), dim=1)
        return self.fc(pooled + last)


loader = DataLoader(Words(N), batch_size=BATCH, shuffle=True, collate_fn=collate)
model = Classifier(6, EMBEDDING_DIM, HIDDEN_DIM)
print(model)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
for epoch in range(EPOCHS):
    total = 0
    for x, lengths, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x, lengths), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        total += int(lengths.sum())
    print(f"epoch {epoch + 1}: {total} letters")
model.eval()
x, lengths, y = collate([(torch.tensor([1, 1, 2, 3]), 1), (torch.tensor([2, 2]), 0)])
checks["logits"] = model(x, lengths).flatten().tolist()
checks["padding"] = model.embedding.weight[0].tolist()
