"""A word-level GRU language model: windows from a data set of its own, the state carried from batch to batch."""

from collections import Counter

import torch
from torch import nn, optim
from torch.utils.data import DataLoader

torch.manual_seed(7)
losses = []
batch_size, sequence_length, max_epochs = 16, 4, 10
gru_size, embedding_dim = 32, 16
START = "why did the"

JOKES = """why did the chicken cross the road to get to the other side
why did the duck cross the road to prove he is no chicken
what did the sea say to the shore nothing it just waved
why did the bicycle fall over it was two tired
what did the wall say to the other wall i will meet you at the corner
why is the sea so calm it has no time to get tired of the shore
"""


class Dataset(torch.utils.data.Dataset):
    def __init__(self, sequence_length):
        self.sequence_length = sequence_length
        self.words = self.load_words()
        self.uniq_words = self.get_uniq_words()
        self.index_to_word = {index: word for index, word in enumerate(self.uniq_words)}
        self.word_to_index = {word: index for index, word in enumerate(self.uniq_words)}
        self.words_indexes = [self.word_to_index[w] for w in self.words]

    def load_words(self):
        return JOKES.replace("\n", " ").strip().split(" ")

    def get_uniq_words(self):
        word_counts = Counter(self.words)
        return sorted(word_counts, key=word_counts.get, reverse=True)

    def __len__(self):
        return len(self.words_indexes) - self.sequence_length

    def __getitem__(self, index):
        return (
            torch.tensor(self.words_indexes[index : index + self.sequence_length]),
            torch.tensor(self.words_indexes[index + 1 : index + self.sequence_length + 1]),
        )


class Model(nn.Module):
    def __init__(self, dataset):
        super().__init__()
        self.gru_size = gru_size
        self.embedding_dim = embedding_dim
        self.num_layers = 2
        n_vocab = len(dataset.uniq_words)
        self.embedding = nn.Embedding(num_embeddings=n_vocab, embedding_dim=self.embedding_dim)
        self.gru = nn.GRU(
            input_size=self.embedding_dim,
            hidden_size=self.gru_size,
            num_layers=self.num_layers,
            dropout=0.2,
            batch_first=True,
        )
        self.fc = nn.Linear(self.gru_size, n_vocab)

    def forward(self, x, prev_state):
        embed = self.embedding(x)
        output, state = self.gru(embed, prev_state)
        logits = self.fc(output)
        return logits, state

    def init_state(self, batch_size):
        return torch.zeros(self.num_layers, batch_size, self.gru_size)


def train(dataset, model):
    model.train()
    dataloader = DataLoader(dataset, batch_size=batch_size, drop_last=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.RMSprop(model.parameters(), lr=0.005)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)

    for epoch in range(max_epochs):
        state_h = model.init_state(batch_size)
        for batch, (x, y) in enumerate(dataloader):
            optimizer.zero_grad()
            y_pred, state_h = model(x, state_h)
            loss = criterion(y_pred.transpose(1, 2), y)
            state_h = state_h.detach()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), clip_value=0.1)
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        print({"epoch": epoch, "batch": batch, "lr": scheduler.get_last_lr()[0]})


def predict(dataset, model, text, next_words=12):
    model.eval()
    words = text.split(" ")
    state_h = model.init_state(1)
    for i in range(next_words):
        x = torch.tensor([[dataset.word_to_index[w] for w in words[i:]]])
        y_pred, state_h = model(x, state_h)
        last_word_logits = y_pred[0][-1]
        p = torch.nn.functional.softmax(last_word_logits, dim=0).detach()
        word_index = torch.multinomial(p, 1).item()
        words.append(dataset.index_to_word[word_index])
    return words


dataset = Dataset(sequence_length)
model = Model(dataset)
print(model)
train(dataset, model)
print(" ".join(predict(dataset, model, text=START)))
checks = {"embedding": model.embedding.weight.sum(dim=0).tolist()}
