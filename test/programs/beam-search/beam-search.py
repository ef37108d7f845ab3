"""A GRU encoder-decoder with beam search: it learns to sort digits, and decodes with several hypotheses."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
losses = []
checks = {}
HIDDEN, VOCAB, LENGTH = 24, 12, 4
BATCH, STEPS, BEAMS, SENTENCES = 8, 20, 3, 3
START, END = 10, 11


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def forward(self, x):
        return self.gru(self.embedding(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.cell = nn.GRUCell(2 * HIDDEN, HIDDEN)
        self.out = nn.Linear(2 * HIDDEN, VOCAB)

    def forward(self, token, state, outputs):
        scores = torch.bmm(outputs, state.unsqueeze(2)).squeeze(2)
        context = torch.bmm(F.softmax(scores, dim=1).unsqueeze(1), outputs).squeeze(1)
        state = self.cell(torch.cat([self.embedding(token), context], dim=1), state)
        return self.out(torch.cat([state, context], dim=1)), state


encoder, decoder = Encoder(), Decoder()
parameters = list(encoder.parameters()) + list(decoder.parameters())
optimizer = torch.optim.Adam(parameters, lr=2e-3)


def batch(n):
    x = torch.randint(0, 10, (n, LENGTH))
    y = torch.cat([x.sort(dim=1).values, torch.full((n, 1), END)], dim=1)
    return x, y


for step in range(STEPS):
    x, y = batch(BATCH)
    outputs, hidden = encoder(x)
    state = hidden[0]
    token = torch.full((BATCH,), START)
    loss = 0
    for t in range(LENGTH + 1):
        logits, state = decoder(token, state, outputs)
        loss = loss + F.cross_entropy(logits, y[:, t])
        token = y[:, t]
    loss = loss / (LENGTH + 1)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    losses.append(loss.item())


def beam_search(x):
    outputs, hidden = encoder(x)
    outputs = outputs.expand(BEAMS, -1, -1)
    state = hidden[0].expand(BEAMS, -1)
    token = torch.full((BEAMS,), START)
    scores = torch.full((BEAMS,), -1e9)
    scores[0] = 0.0
    sequences = torch.empty(BEAMS, 0, dtype=torch.long)
    ended = torch.zeros(BEAMS, dtype=torch.bool)
    only_end = torch.full((VOCAB,), -1e9)
    only_end[END] = 0.0
    for _ in range(LENGTH + 2):
        logits, state = decoder(token, state, outputs)
        log_probs = F.log_softmax(logits, dim=-1)
        log_probs = torch.where(ended.unsqueeze(1), only_end, log_probs)
        total = scores.unsqueeze(1) + log_probs
        scores, best = total.view(-1).topk(BEAMS)
        parents = torch.div(best, VOCAB, rounding_mode="floor")
        token = best % VOCAB
        state = state[parents]
        ended = ended[parents] | (token == END)
        sequences = torch.cat([sequences[parents], token.unsqueeze(1)], dim=1)
        if ended.all():
            break
    return sequences[0].tolist(), scores[0].item()


right = 0
found = []
with torch.no_grad():
    for _ in range(SENTENCES):
        x, y = batch(1)
        sequence, score = beam_search(x)
        print("sequence:", *sequence)
        right += sequence[: LENGTH + 1] == y[0].tolist()
        found.append(score)
print("right:", right, "of", SENTENCES)
checks["scores"] = found
