"""Neural radiance fields (Mildenhall et al., 2020): rays through a scene of balls, coarse and fine samples."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
losses = []
checks = {}
SIZE, VIEWS, WIDTH, DEPTH = 8, 4, 32, 4
N_RAYS, N_SAMPLES, N_IMPORTANCE, ITERATIONS = 24, 8, 8, 24
MULTIRES, MULTIRES_VIEWS = 5, 2
NEAR, FAR = 2.0, 6.0
LRATE, LRATE_DECAY = 5e-3, 20


class Embedder:
    """Sines and cosines of each coordinate, at frequencies of powers of two."""

    def __init__(self, multires, input_dims=3):
        freq_bands = 2.0 ** torch.linspace(0.0, multires - 1, steps=multires)
        self.embed_fns = [lambda x: x]
        for freq in freq_bands:
            for p_fn in [torch.sin, torch.cos]:
                self.embed_fns.append(lambda x, p_fn=p_fn, freq=freq: p_fn(x * freq))
        self.out_dim = input_dims * len(self.embed_fns)

    def __call__(self, inputs):
        return torch.cat([fn(inputs) for fn in self.embed_fns], -1)


class NeRF(nn.Module):
    def __init__(self, D=DEPTH, W=WIDTH, input_ch=3, input_ch_views=3, skips=(2,)):
        super().__init__()
        self.skips = skips
        self.pts_linears = nn.ModuleList(
            [nn.Linear(input_ch, W)]
            + [nn.Linear(W + input_ch, W) if i in skips else nn.Linear(W, W) for i in range(D - 1)]
        )
        self.views_linears = nn.ModuleList([nn.Linear(input_ch_views + W, W // 2)])
        self.feature_linear = nn.Linear(W, W)
        self.alpha_linear = nn.Linear(W, 1)
        self.rgb_linear = nn.Linear(W // 2, 3)

    def forward(self, input_pts, input_views):
        h = input_pts
        for i, layer in enumerate(self.pts_linears):
            h = F.relu(layer(h))
            if i in self.skips:
                h = torch.cat([input_pts, h], -1)
        alpha = self.alpha_linear(h)
        feature = self.feature_linear(h)
        h = torch.cat([feature, input_views], -1)
        for layer in self.views_linears:
            h = F.relu(layer(h))
        rgb = self.rgb_linear(h)
        return torch.cat([rgb, alpha], -1)


def pose_spherical(theta, phi, radius):
    """The camera's pose, on a sphere around the scene and looking at its middle."""
    theta, phi = theta / 180.0 * math.pi, phi / 180.0 * math.pi
    trans_t = torch.eye(4)
    trans_t[2, 3] = radius
    rot_phi = torch.tensor(
        [
            [1, 0, 0, 0],
            [0, math.cos(phi), -math.sin(phi), 0],
            [0, math.sin(phi), math.cos(phi), 0],
            [0, 0, 0, 1],
        ],
        dtype=torch.float32,
    )
    rot_theta = torch.tensor(
        [
            [math.cos(theta), 0, -math.sin(theta), 0],
            [0, 1, 0, 0],
            [math.sin(theta), 0, math.cos(theta), 0],
            [0, 0, 0, 1],
        ],
        dtype=torch.float32,
    )
    return rot_theta @ rot_phi @ trans_t


def get_rays(H, W, focal, c2w):
    i, j = torch.meshgrid(torch.linspace(0, W - 1, W), torch.linspace(0, H - 1, H), indexing="ij")
    i, j = i.t(), j.t()
    dirs = torch.stack([(i - W * 0.5) / focal, -(j - H * 0.5) / focal, -torch.ones_like(i)], -1)
    rays_d = torch.sum(dirs[..., None, :] * c2w[:3, :3], -1)
    rays_o = c2w[:3, -1].expand(rays_d.shape)
    return rays_o, rays_d


def raw2outputs(raw, z_vals, rays_d, white_bkgd=True):
    """Volume rendering: what each sample along a ray adds to its colour."""
    dists = z_vals[..., 1:] - z_vals[..., :-1]
    dists = torch.cat([dists, torch.tensor([1e10]).expand(dists[..., :1].shape)], -1)
    dists = dists * torch.norm(rays_d[..., None, :], dim=-1)
    rgb = torch.sigmoid(raw[..., :3])
    alpha = 1.0 - torch.exp(-F.relu(raw[..., 3]) * dists)
    transmitted = torch.cumprod(torch.cat([torch.ones((alpha.shape[0], 1)), 1.0 - alpha + 1e-10], -1), -1)
    weights = alpha * transmitted[:, :-1]
    rgb_map = torch.sum(weights[..., None] * rgb, -2)
    depth_map = torch.sum(weights * z_vals, -1)
    acc_map = torch.sum(weights, -1)
    if white_bkgd:
        rgb_map = rgb_map + (1.0 - acc_map[..., None])
    return rgb_map, depth_map, acc_map, weights


def sample_pdf(bins, weights, n_samples, det=False):
    """Samples where the coarse network saw something, by inverting the distribution function."""
    weights = weights + 1e-5
    pdf = weights / torch.sum(weights, -1, keepdim=True)
    cdf = torch.cumsum(pdf, -1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf], -1)
    if det:
        u = torch.linspace(0.0, 1.0, steps=n_samples)
        u = u.expand(list(cdf.shape[:-1]) + [n_samples])
    else:
        u = torch.rand(list(cdf.shape[:-1]) + [n_samples])
    u = u.contiguous()
    inds = torch.searchsorted(cdf, u, right=True)
    below = torch.max(torch.zeros_like(inds - 1), inds - 1)
    above = torch.min((cdf.shape[-1] - 1) * torch.ones_like(inds), inds)
    inds_g = torch.stack([below, above], -1)
    matched_shape = [inds_g.shape[0], inds_g.shape[1], cdf.shape[-1]]
    cdf_g = torch.gather(cdf.unsqueeze(1).expand(matched_shape), 2, inds_g)
    bins_g = torch.gather(bins.unsqueeze(1).expand(matched_shape), 2, inds_g)
    denom = cdf_g[..., 1] - cdf_g[..., 0]
    denom = torch.where(denom < 1e-5, torch.ones_like(denom), denom)
    t = (u - cdf_g[..., 0]) / denom
    return bins_g[..., 0] + t * (bins_g[..., 1] - bins_g[..., 0])


embed, embed_views = Embedder(MULTIRES), Embedder(MULTIRES_VIEWS)


def query(network, pts, viewdirs):
    flat = pts.reshape(-1, 3)
    dirs = viewdirs[:, None].expand(pts.shape).reshape(-1, 3)
    outputs = network(embed(flat), embed_views(dirs))
    return outputs.reshape(list(pts.shape[:-1]) + [outputs.shape[-1]])


def render_rays(rays_o, rays_d, coarse, fine, perturb=True):
    viewdirs = rays_d / torch.norm(rays_d, dim=-1, keepdim=True)
    t_vals = torch.linspace(0.0, 1.0, steps=N_SAMPLES)
    z_vals = (NEAR * (1.0 - t_vals) + FAR * t_vals).expand([rays_o.shape[0], N_SAMPLES])
    if perturb:
        mids = 0.5 * (z_vals[..., 1:] + z_vals[..., :-1])
        upper = torch.cat([mids, z_vals[..., -1:]], -1)
        lower = torch.cat([z_vals[..., :1], mids], -1)
        z_vals = lower + (upper - lower) * torch.rand(z_vals.shape)
    pts = rays_o[..., None, :] + rays_d[..., None, :] * z_vals[..., :, None]
    rgb0, _, _, weights = raw2outputs(query(coarse, pts, viewdirs), z_vals, rays_d)

    z_vals_mid = 0.5 * (z_vals[..., 1:] + z_vals[..., :-1])
    z_samples = sample_pdf(z_vals_mid, weights[..., 1:-1], N_IMPORTANCE, det=not perturb)
    z_samples = z_samples.detach()
    z_vals, _ = torch.sort(torch.cat([z_vals, z_samples], -1), -1)
    pts = rays_o[..., None, :] + rays_d[..., None, :] * z_vals[..., :, None]
    rgb, depth, acc, _ = raw2outputs(query(fine, pts, viewdirs), z_vals, rays_d)
    return rgb, rgb0, depth, acc


def scene(pts):
    """Three balls with their colours: logits of colour, and density."""
    centres = torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.4, 0.2], [-0.6, -0.5, 0.8]])
    radii = torch.tensor([0.7, 0.4, 0.5])
    colours = torch.tensor([[3.0, -3.0, -3.0], [-3.0, 3.0, -1.0], [-2.0, 0.0, 3.0]])
    inside = torch.sigmoid(8 * (radii - torch.norm(pts[..., None, :] - centres, dim=-1)))
    density = 6 * inside.sum(-1, keepdim=True)
    return torch.cat([torch.softmax(4 * inside, -1) @ colours, density], -1)


focal = SIZE * 1.2
with torch.no_grad():
    images, rays = [], []
    for view in range(VIEWS + 1):
        c2w = pose_spherical(360.0 * view / (VIEWS + 1) - 180.0, -30.0, 4.0)
        rays_o, rays_d = (r.reshape(-1, 3) for r in get_rays(SIZE, SIZE, focal, c2w))
        z_vals = torch.linspace(NEAR, FAR, 96).expand(rays_o.shape[0], 96)
        pts = rays_o[:, None, :] + rays_d[:, None, :] * z_vals[..., None]
        images.append(raw2outputs(scene(pts), z_vals, rays_d)[0])
        rays.append(torch.stack([rays_o, rays_d], 1))
test_image, test_rays = images.pop(), rays.pop()
# Every ray with its colour: ro, rd, rgb.
rays_rgb = torch.cat([torch.cat(rays), torch.cat(images)[:, None]], 1)
rays_rgb = rays_rgb[torch.randperm(rays_rgb.shape[0])]
print("rays", rays_rgb.shape)

coarse = NeRF(input_ch=embed.out_dim, input_ch_views=embed_views.out_dim)
fine = NeRF(input_ch=embed.out_dim, input_ch_views=embed_views.out_dim)
print(fine)
optimizer = torch.optim.Adam(list(coarse.parameters()) + list(fine.parameters()), lr=LRATE, betas=(0.9, 0.999))
img2mse = lambda x, y: torch.mean((x - y) ** 2)
mse2psnr = lambda x: -10.0 * torch.log(x) / torch.log(torch.tensor([10.0]))

i_batch = 0
psnrs = []
for i in range(ITERATIONS):
    batch = rays_rgb[i_batch : i_batch + N_RAYS].transpose(0, 1)
    batch_rays, target_s = batch[:2], batch[2]
    i_batch += N_RAYS
    if i_batch >= rays_rgb.shape[0]:
        rays_rgb = rays_rgb[torch.randperm(rays_rgb.shape[0])]
        i_batch = 0
    rgb, rgb0, _, _ = render_rays(batch_rays[0], batch_rays[1], coarse, fine)
    optimizer.zero_grad()
    img_loss = img2mse(rgb, target_s)
    psnr = mse2psnr(img_loss)
    loss = img_loss + img2mse(rgb0, target_s)
    loss.backward()
    optimizer.step()
    decay_rate = 0.1
    new_lrate = LRATE * (decay_rate ** (i / (LRATE_DECAY * 100)))
    for param_group in optimizer.param_groups:
        param_group["lr"] = new_lrate
    losses.append(loss.item())
    psnrs.append(psnr.item())

with torch.no_grad():
    parts = [render_rays(r[:, 0], r[:, 1], coarse, fine, perturb=False) for r in test_rays.split(N_RAYS)]
    rgb, rgb0, depth, acc = (torch.cat(part) for part in zip(*parts))
    test_loss = img2mse(rgb, test_image)
print("test", rgb.shape, depth.shape)
checks["psnr"] = psnrs[::6]
checks["test"] = [test_loss.item(), mse2psnr(test_loss).item()]
checks["row"] = rgb[SIZE * SIZE // 2].tolist()
checks["depth"] = depth.reshape(SIZE, SIZE)[SIZE // 2].tolist()
checks["acc"] = [acc.mean().item()]
