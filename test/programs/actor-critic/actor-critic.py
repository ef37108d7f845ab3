"""Advantage actor-critic with a shared trunk on a windy corridor, with entropy bonus and smooth L1 values."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical

torch.manual_seed(1)
losses = []
checks = {"rewards": []}
LENGTH, MAX_STEPS, HIDDEN, EPISODES = 9, 30, 24, 12


class Corridor:
    """Walk from the middle to the right end; the wind may push one place to the left."""

    def __init__(self, length=LENGTH):
        self.length = length

    def reset(self):
        self.position = self.length // 2
        self.time = 0
        return self.observe()

    def observe(self):
        return F.one_hot(torch.tensor(self.position), self.length).float()

    def step(self, action):
        self.position += 1 if action == 1 else -1
        if torch.rand(1).item() < 0.2:
            self.position -= 1
        self.position = max(0, min(self.length - 1, self.position))
        self.time += 1
        won = self.position == self.length - 1
        return self.observe(), 1.0 if won else -0.05, won or self.time >= MAX_STEPS


class ActorCritic(nn.Module):
    def __init__(self, inputs, actions, hidden=HIDDEN):
        super().__init__()
        self.affine1 = nn.Linear(inputs, hidden)
        self.action_head = nn.Linear(hidden, actions)
        self.value_head = nn.Linear(hidden, 1)

    def forward(self, x):
        x = F.relu(self.affine1(x))
        action_prob = F.softmax(self.action_head(x), dim=-1)
        state_values = self.value_head(x)
        return action_prob, state_values


env = Corridor()
model = ActorCritic(env.length, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
eps = torch.finfo(torch.float32).eps

for episode in range(EPISODES):
    state = env.reset()
    saved_actions, rewards, entropies = [], [], []
    done = False
    while not done:
        probs, state_value = model(state)
        m = Categorical(probs)
        action = m.sample()
        saved_actions.append((m.log_prob(action), state_value))
        entropies.append(m.entropy())
        state, reward, done = env.step(action.item())
        rewards.append(reward)
    R = 0
    returns = []
    for r in reversed(rewards):
        R = r + 0.95 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_losses, value_losses = [], []
    for (log_prob, value), R in zip(saved_actions, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss = loss - 0.01 * torch.stack(entropies).sum()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    checks["rewards"].append(sum(rewards))
    if episode % 4 == 3:
        print(f"episode {episode + 1}: {len(rewards)} steps")
