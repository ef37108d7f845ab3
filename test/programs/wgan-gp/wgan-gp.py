"""A Wasserstein GAN with gradient penalty: the critic's gradients are differentiated again."""

import torch
import torch.autograd as autograd
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(1)
losses = []
checks = {"wasserstein": [], "penalty": []}

DIM = 24  # Model dimensionality
LAMBDA = 0.1  # Smaller lambda seems to help for toy tasks specifically
CRITIC_ITERS = 3  # How many critic iterations per generator iteration
BATCH_SIZE = 32
ITERS = 12


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(2, DIM),
            nn.ReLU(True),
            nn.Linear(DIM, DIM),
            nn.ReLU(True),
            nn.Linear(DIM, 2),
        )

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(2, DIM),
            nn.Tanh(),
            nn.Linear(DIM, DIM),
            nn.LeakyReLU(0.2, True),
            nn.Linear(DIM, 1),
        )

    def forward(self, inputs):
        output = self.main(inputs)
        return output.view(-1)


def weights_init(m):
    if isinstance(m, nn.Linear):
        m.weight.data.normal_(0.0, 0.2)
        m.bias.data.fill_(0)


def inf_train_gen():
    """Eight gaussians on a circle."""
    angles = torch.arange(8) * (torch.pi / 4)
    centers = 2.0 * torch.stack((angles.cos(), angles.sin()), dim=1)
    while True:
        points = torch.randn(BATCH_SIZE, 2) * 0.02
        points += centers[torch.randint(8, (BATCH_SIZE,))]
        yield points / 1.414


def calc_gradient_penalty(netD, real_data, fake_data):
    alpha = torch.rand(BATCH_SIZE, 1)
    alpha = alpha.expand(real_data.size())

    interpolates = alpha * real_data + ((1 - alpha) * fake_data)
    interpolates.requires_grad_(True)

    disc_interpolates = netD(interpolates)

    gradients = autograd.grad(
        outputs=disc_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones(disc_interpolates.size()),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]

    gradient_penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean() * LAMBDA
    return gradient_penalty


netG = Generator()
netD = Discriminator()
netD.apply(weights_init)
netG.apply(weights_init)

optimizerD = optim.Adam(netD.parameters(), lr=1e-2, betas=(0.5, 0.9))
optimizerG = optim.Adam(netG.parameters(), lr=1e-2, betas=(0.5, 0.9))

one = torch.tensor(1, dtype=torch.float)
mone = one * -1

data = inf_train_gen()

for iteration in range(ITERS):
    # (1) Update D network
    for p in netD.parameters():  # reset requires_grad
        p.requires_grad = True  # they are set to False below in netG update

    for iter_d in range(CRITIC_ITERS):
        real_data = next(data)
        netD.zero_grad()

        # train with real
        D_real = netD(real_data)
        D_real = D_real.mean()
        D_real.backward(mone)

        # train with fake
        noise = torch.randn(BATCH_SIZE, 2)
        with torch.no_grad():
            noisev = noise  # totally freeze netG
            fake = netG(noisev)
        D_fake = netD(fake)
        D_fake = D_fake.mean()
        D_fake.backward(one)

        # train with gradient penalty
        gradient_penalty = calc_gradient_penalty(netD, real_data.data, fake.data)
        gradient_penalty.backward()

        D_cost = D_fake - D_real + gradient_penalty
        Wasserstein_D = D_real - D_fake
        optimizerD.step()
        losses.append(D_cost.item())
        checks["wasserstein"].append(Wasserstein_D.item())
        checks["penalty"].append(gradient_penalty.item())

    # (2) Update G network
    for p in netD.parameters():
        p.requires_grad = False  # to avoid computation
    netG.zero_grad()

    noise = torch.randn(BATCH_SIZE, 2)
    fake = netG(noise)
    G = netD(fake)
    G = G.mean()
    G.backward(mone)
    G_cost = -G
    optimizerG.step()
    losses.append(G_cost.item())
    if iteration % 4 == 3:
        print(f"iteration {iteration + 1}: critic {D_cost.item():.2f}, generator {G_cost.item():.2f}")
