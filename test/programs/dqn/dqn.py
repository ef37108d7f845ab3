"""Deep Q-learning (Mnih et al., 2015) on a grid: replay memory, soft target updates, Huber loss, clipped values."""

import copy
import math

import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(3)
losses = []
checks = {}
SIZE = 4
BATCH = 16
HIDDEN = 32
EPISODES, MAX_STEPS = 8, 20


class Grid:
    """From one corner to the other, round a pit."""

    def reset(self):
        self.row, self.column = 0, 0
        return self.observe()

    def observe(self):
        return torch.tensor([self.row / (SIZE - 1), self.column / (SIZE - 1), 1.0]).unsqueeze(0)

    def step(self, action):
        moves = [(-1, 0), (1, 0), (0, -1), (0, 1)]
        self.row = min(SIZE - 1, max(0, self.row + moves[action][0]))
        self.column = min(SIZE - 1, max(0, self.column + moves[action][1]))
        if self.row == 1 and self.column == 1:
            return self.observe(), -1.0, True
        won = self.row == SIZE - 1 and self.column == SIZE - 1
        return self.observe(), 1.0 if won else -0.02, won


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, HIDDEN)
        self.layer2 = nn.Linear(HIDDEN, HIDDEN)
        self.layer3 = nn.Linear(HIDDEN, n_actions)

    def forward(self, x):
        x = torch.relu(self.layer1(x))
        x = torch.relu(self.layer2(x))
        return self.layer3(x)


policy_net = DQN(3, 4)
target_net = DQN(3, 4)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=2e-3, amsgrad=True)
memory = []
steps_done = 0


def select_action(state):
    global steps_done
    sample = torch.rand(1).item()
    threshold = 0.1 + 0.8 * math.exp(-steps_done / 60)
    steps_done += 1
    if sample > threshold:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.randint(0, 4, (1, 1))


def optimize_model():
    if len(memory) < BATCH:
        return
    picked = [memory[i] for i in torch.randint(0, len(memory), (BATCH,)).tolist()]
    states, actions, next_states, rewards = zip(*picked)
    non_final_mask = torch.tensor(tuple(map(lambda s: s is not None, next_states)), dtype=torch.bool)
    non_final_next_states = torch.cat([s for s in next_states if s is not None])
    state_batch = torch.cat(states)
    action_batch = torch.cat(actions)
    reward_batch = torch.cat(rewards)
    state_action_values = policy_net(state_batch).gather(1, action_batch)
    next_state_values = torch.zeros(BATCH)
    with torch.no_grad():
        next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
    expected_state_action_values = (next_state_values * 0.95) + reward_batch
    criterion = nn.SmoothL1Loss()
    loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
    losses.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


env = Grid()
durations = []
for i_episode in range(EPISODES):
    state = env.reset()
    for t in range(MAX_STEPS):
        action = select_action(state)
        observation, reward, terminated = env.step(action.item())
        reward = torch.tensor([reward])
        next_state = None if terminated else observation
        memory.append((state, action, next_state, reward))
        state = observation
        optimize_model()
        target_net_state_dict = target_net.state_dict()
        policy_net_state_dict = policy_net.state_dict()
        for key in policy_net_state_dict:
            target_net_state_dict[key] = policy_net_state_dict[key] * 0.05 + target_net_state_dict[key] * 0.95
        target_net.load_state_dict(target_net_state_dict)
        if terminated:
            break
    durations.append(t + 1)
print("durations", durations)
checks["q"] = target_net(env.reset())[0].tolist()
