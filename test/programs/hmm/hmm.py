"""A hidden Markov model trained by the gradient of the forward algorithm, and decoded with Viterbi's."""

import torch
import torch.nn as nn

torch.manual_seed(4)
losses = []
checks = {}
STATES, SYMBOLS, LENGTH = 5, 7, 8
BATCH, STEPS, SEQUENCES = 8, 20, 4


class HMM(nn.Module):
    def __init__(self):
        super().__init__()
        self.initial = nn.Parameter(torch.randn(STATES))
        self.transition = nn.Parameter(torch.randn(STATES, STATES))
        self.emission = nn.Parameter(torch.randn(STATES, SYMBOLS))

    def logs(self):
        return (self.initial.log_softmax(0), self.transition.log_softmax(1), self.emission.log_softmax(1))

    def forward(self, x):
        initial, transition, emission = self.logs()
        alpha = initial + emission[:, x[:, 0]].t()
        for t in range(1, x.size(1)):
            alpha = torch.logsumexp(alpha.unsqueeze(2) + transition, dim=1) + emission[:, x[:, t]].t()
        return torch.logsumexp(alpha, dim=1)

    @torch.no_grad()
    def viterbi(self, x):
        initial, transition, emission = self.logs()
        delta = initial + emission[:, x[0]]
        back = []
        for t in range(1, x.size(0)):
            best, from_state = (delta.unsqueeze(1) + transition).max(dim=0)
            delta = best + emission[:, x[t]]
            back.append(from_state)
        score, state = delta.max(dim=0)
        path = [state.item()]
        for from_state in reversed(back):
            path.append(from_state[path[-1]].item())
        return score.item(), path[::-1]


def sequences(n):
    steps = torch.randint(0, 3, (n, LENGTH))
    return (torch.randint(0, SYMBOLS, (n, 1)) + steps.cumsum(dim=1)) % SYMBOLS


model = HMM()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for step in range(STEPS):
    loss = -model(sequences(BATCH)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
scores = []
for x in sequences(SEQUENCES):
    score, path = model.viterbi(x)
    scores.append(score)
    print("path:", *path)
print("sequences:", SEQUENCES)
checks["scores"] = scores
