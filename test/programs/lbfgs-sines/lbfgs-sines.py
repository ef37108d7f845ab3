"""Two LSTM cells that learn to continue sines, trained on whole sequences with L-BFGS."""

import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(0)
losses = []
checks = {}
HIDDEN, WAVES, LENGTH, STEPS, FUTURE = 12, 6, 20, 3, 8


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1 = nn.LSTMCell(1, HIDDEN)
        self.lstm2 = nn.LSTMCell(HIDDEN, HIDDEN)
        self.linear = nn.Linear(HIDDEN, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), HIDDEN)
        c_t = torch.zeros(input.size(0), HIDDEN)
        h_t2 = torch.zeros(input.size(0), HIDDEN)
        c_t2 = torch.zeros(input.size(0), HIDDEN)
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for i in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


t = torch.arange(LENGTH).float()
phases = torch.randint(-20, 20, (WAVES, 1)).float()
data = torch.sin((t + phases) / 3)
input, target = data[1:, :-1], data[1:, 1:]
test_input, test_target = data[:1, :-1], data[:1, 1:]
seq = Sequence()
criterion = nn.MSELoss()
optimizer = optim.LBFGS(seq.parameters(), lr=0.5, max_iter=5)
for i in range(STEPS):
    print("STEP:", i)

    def closure():
        optimizer.zero_grad()
        out = seq(input)
        loss = criterion(out, target)
        losses.append(loss.item())
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        pred = seq(test_input, future=FUTURE)
        loss = criterion(pred[:, :-FUTURE], test_target)
        print(f"test loss: {loss.item():.2f}")
checks["future"] = pred[0, -8:].tolist()
