"""A vector-quantised autoencoder (van den Oord et al., 2017); the quantiser is a function with its own gradient."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
losses = []
checks = {}
CODES, DIM, WIDTH, SIZE, N, STEPS = 16, 4, 8, 8, 18, 30


class VectorQuantization(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, codebook):
        with torch.no_grad():
            flat = inputs.view(-1, codebook.size(1))
            distances = torch.addmm(
                (codebook**2).sum(dim=1) + (flat**2).sum(dim=1, keepdim=True), flat, codebook.t(), alpha=-2.0, beta=1.0
            )
            indices = distances.min(dim=1).indices.view(inputs.shape[:-1])
            ctx.mark_non_differentiable(indices)
            return indices

    @staticmethod
    def backward(ctx, grad_output):
        raise RuntimeError("the quantiser is not differentiable")


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, codebook):
        indices = VectorQuantization.apply(inputs, codebook)
        flat = indices.view(-1)
        ctx.save_for_backward(flat, codebook)
        codes = torch.index_select(codebook, dim=0, index=flat).view_as(inputs)
        ctx.mark_non_differentiable(flat)
        return codes, flat

    @staticmethod
    def backward(ctx, grad_output, grad_indices):
        grad_inputs, grad_codebook = None, None
        if ctx.needs_input_grad[0]:
            grad_inputs = grad_output.clone()
        if ctx.needs_input_grad[1]:
            indices, codebook = ctx.saved_tensors
            flat = grad_output.contiguous().view(-1, codebook.size(1))
            grad_codebook = torch.zeros_like(codebook)
            grad_codebook.index_add_(0, indices, flat)
        return grad_inputs, grad_codebook


class VQVAE(nn.Module):
    def __init__(self, codes=CODES, dim=DIM):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, WIDTH, 4, 2, 1), nn.ReLU(True), nn.Conv2d(WIDTH, dim, 3, 1, 1))
        self.codebook = nn.Embedding(codes, dim)
        self.codebook.weight.data.uniform_(-1.0 / codes, 1.0 / codes)
        self.decoder = nn.Sequential(nn.Conv2d(dim, WIDTH, 3, 1, 1), nn.ReLU(True), nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1), nn.Sigmoid())

    def forward(self, x):
        z_e = self.encoder(x).permute(0, 2, 3, 1).contiguous()
        z_st, indices = StraightThrough.apply(z_e, self.codebook.weight.detach())
        z_q = torch.index_select(self.codebook.weight, dim=0, index=indices).view_as(z_e)
        x_tilde = self.decoder(z_st.permute(0, 3, 1, 2))
        return x_tilde, z_e, z_q, indices


ramp = torch.linspace(0, 1, SIZE)
images = torch.stack([ramp.expand(SIZE, SIZE), ramp.expand(SIZE, SIZE).t(), ramp.flip(0).expand(SIZE, SIZE)])
images = images.repeat(N // 3, 1, 1).unsqueeze(1) * (0.5 + 0.5 * torch.rand(N, 1, 1, 1))
model = VQVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(STEPS):
    optimizer.zero_grad()
    x_tilde, z_e, z_q, indices = model(images)
    loss_recons = F.mse_loss(x_tilde, images)
    loss_vq = F.mse_loss(z_q, z_e.detach())
    loss_commit = F.mse_loss(z_e, z_q.detach())
    loss = loss_recons + loss_vq + 0.25 * loss_commit
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("codes in use:", len(indices.unique()))
checks["codebook"] = model.codebook.weight[0].tolist()
