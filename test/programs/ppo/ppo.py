"""Proximal policy optimization (Schulman et al., 2017) on several cart-poles at once, in the manner of CleanRL."""

import math

import torch
import torch.nn as nn
import torch.optim as optim
from torch.distributions.categorical import Categorical

torch.manual_seed(1)
losses = []
checks = {}
NUM_ENVS, NUM_STEPS, NUM_UPDATES = 4, 16, 6
NUM_MINIBATCHES, UPDATE_EPOCHS = 4, 2
HIDDEN, MAX_EPISODE = 32, 500
LEARNING_RATE, GAMMA, GAE_LAMBDA = 2.5e-3, 0.99, 0.95
CLIP_COEF, ENT_COEF, VF_COEF, MAX_GRAD_NORM = 0.2, 0.01, 0.5, 0.5


class CartPole:
    """A pole on a cart (Barto, Sutton & Anderson, 1983), Euler's method."""

    def __init__(self):
        self.state = [0.0, 0.0, 0.0, 0.0]
        self.steps = 0

    def reset(self):
        self.state = (torch.rand(4) * 0.1 - 0.05).tolist()
        self.steps = 0
        return self.state

    def step(self, action):
        x, x_dot, theta, theta_dot = self.state
        force = 10.0 if action == 1 else -10.0
        cos, sin = math.cos(theta), math.sin(theta)
        temp = (force + 0.05 * theta_dot * theta_dot * sin) / 1.1
        theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1))
        x_acc = temp - 0.05 * theta_acc * cos / 1.1
        x, x_dot = x + 0.02 * x_dot, x_dot + 0.02 * x_acc
        theta, theta_dot = theta + 0.02 * theta_dot, theta_dot + 0.02 * theta_acc
        self.state = [x, x_dot, theta, theta_dot]
        self.steps += 1
        done = abs(x) > 2.4 or abs(theta) > 12 * 2 * math.pi / 360 or self.steps >= MAX_EPISODE
        return self.state, 1.0, done


class SyncVectorEnv:
    """Steps several environments, and starts each again at its end."""

    def __init__(self, num_envs):
        self.envs = [CartPole() for _ in range(num_envs)]
        self.lengths = []

    def reset(self):
        return [env.reset() for env in self.envs]

    def step(self, actions):
        observations, rewards, dones = [], [], []
        for env, action in zip(self.envs, actions):
            observation, reward, done = env.step(action)
            if done:
                self.lengths.append(env.steps)
                observation = env.reset()
            observations.append(observation)
            rewards.append(reward)
            dones.append(float(done))
        return observations, rewards, dones


def layer_init(layer, std=math.sqrt(2), bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self, obs_dim, n_actions):
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(obs_dim, HIDDEN)),
            nn.Tanh(),
            layer_init(nn.Linear(HIDDEN, HIDDEN)),
            nn.Tanh(),
            layer_init(nn.Linear(HIDDEN, 1), std=1.0),
        )
        self.actor = nn.Sequential(
            layer_init(nn.Linear(obs_dim, HIDDEN)),
            nn.Tanh(),
            layer_init(nn.Linear(HIDDEN, HIDDEN)),
            nn.Tanh(),
            layer_init(nn.Linear(HIDDEN, n_actions), std=0.01),
        )

    def get_value(self, x):
        return self.critic(x)

    def get_action_and_value(self, x, action=None):
        logits = self.actor(x)
        probs = Categorical(logits=logits)
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action), probs.entropy(), self.critic(x)


batch_size = NUM_ENVS * NUM_STEPS
minibatch_size = batch_size // NUM_MINIBATCHES
envs = SyncVectorEnv(NUM_ENVS)
agent = Agent(4, 2)
print(agent)
optimizer = optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)

obs = torch.zeros((NUM_STEPS, NUM_ENVS, 4))
actions = torch.zeros((NUM_STEPS, NUM_ENVS))
logprobs = torch.zeros((NUM_STEPS, NUM_ENVS))
rewards = torch.zeros((NUM_STEPS, NUM_ENVS))
dones = torch.zeros((NUM_STEPS, NUM_ENVS))
values = torch.zeros((NUM_STEPS, NUM_ENVS))

next_obs = torch.Tensor(envs.reset())
next_done = torch.zeros(NUM_ENVS)
explained, clipfracs, kls = [], [], []

for update in range(1, NUM_UPDATES + 1):
    frac = 1.0 - (update - 1.0) / NUM_UPDATES
    optimizer.param_groups[0]["lr"] = frac * LEARNING_RATE

    for step in range(NUM_STEPS):
        obs[step] = next_obs
        dones[step] = next_done
        with torch.no_grad():
            action, logprob, _, value = agent.get_action_and_value(next_obs)
            values[step] = value.flatten()
        actions[step] = action
        logprobs[step] = logprob
        observation, reward, done = envs.step(action.tolist())
        rewards[step] = torch.tensor(reward).view(-1)
        next_obs, next_done = torch.Tensor(observation), torch.Tensor(done)

    # Generalized advantage estimation, from the last step back.
    with torch.no_grad():
        next_value = agent.get_value(next_obs).reshape(1, -1)
        advantages = torch.zeros_like(rewards)
        lastgaelam = 0
        for t in reversed(range(NUM_STEPS)):
            if t == NUM_STEPS - 1:
                nextnonterminal = 1.0 - next_done
                nextvalues = next_value
            else:
                nextnonterminal = 1.0 - dones[t + 1]
                nextvalues = values[t + 1]
            delta = rewards[t] + GAMMA * nextvalues * nextnonterminal - values[t]
            advantages[t] = lastgaelam = delta + GAMMA * GAE_LAMBDA * nextnonterminal * lastgaelam
        returns = advantages + values

    b_obs = obs.reshape((-1, 4))
    b_logprobs = logprobs.reshape(-1)
    b_actions = actions.reshape(-1)
    b_advantages = advantages.reshape(-1)
    b_returns = returns.reshape(-1)
    b_values = values.reshape(-1)

    for epoch in range(UPDATE_EPOCHS):
        b_inds = torch.randperm(batch_size)
        for start in range(0, batch_size, minibatch_size):
            mb_inds = b_inds[start : start + minibatch_size]
            _, newlogprob, entropy, newvalue = agent.get_action_and_value(b_obs[mb_inds], b_actions.long()[mb_inds])
            logratio = newlogprob - b_logprobs[mb_inds]
            ratio = logratio.exp()
            with torch.no_grad():
                approx_kl = ((ratio - 1) - logratio).mean()
                clipfracs += [((ratio - 1.0).abs() > CLIP_COEF).float().mean().item()]

            mb_advantages = b_advantages[mb_inds]
            mb_advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + 1e-8)

            pg_loss1 = -mb_advantages * ratio
            pg_loss2 = -mb_advantages * torch.clamp(ratio, 1 - CLIP_COEF, 1 + CLIP_COEF)
            pg_loss = torch.max(pg_loss1, pg_loss2).mean()

            newvalue = newvalue.view(-1)
            v_loss_unclipped = (newvalue - b_returns[mb_inds]) ** 2
            v_clipped = b_values[mb_inds] + torch.clamp(newvalue - b_values[mb_inds], -CLIP_COEF, CLIP_COEF)
            v_loss_clipped = (v_clipped - b_returns[mb_inds]) ** 2
            v_loss = 0.5 * torch.max(v_loss_unclipped, v_loss_clipped).mean()

            entropy_loss = entropy.mean()
            loss = pg_loss - ENT_COEF * entropy_loss + v_loss * VF_COEF

            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            losses.append(loss.item())
    kls.append(approx_kl.item())

    var_y = torch.var(b_returns, unbiased=False)
    explained.append((1 - torch.var(b_returns - b_values, unbiased=False) / var_y).item())
    if update % 3 == 0:
        recent = envs.lengths[-10:]
        print(f"update {update}, episodes {len(envs.lengths)}, mean length {sum(recent) / max(1, len(recent)):.1f}")

checks["explained"] = explained
checks["clipfracs"] = [sum(clipfracs) / len(clipfracs)]
checks["kl"] = kls
checks["value"] = agent.get_value(next_obs).flatten().tolist()
