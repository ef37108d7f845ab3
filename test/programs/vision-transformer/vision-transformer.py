"""A vision transformer: patches, a class token, learned positions, pre-norm blocks, label smoothing and cosine decay."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(42)
losses = []
checks = {"accuracy": [], "attention": []}

# Pictures of stripes: horizontal, vertical, diagonal or none.
N, N_TRAIN, SIZE, PATCH = 160, 128, 12, 4
EMBED_DIM, DEPTH, HEADS, BATCH, EPOCHS = 24, 3, 4, 32, 10
labels = torch.arange(N) % 4
grid_y, grid_x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
phase = torch.randint(0, 4, (N, 1, 1))
patterns = torch.stack(
    [
        (grid_y + phase) % 4 < 2,
        (grid_x + phase) % 4 < 2,
        (grid_x + grid_y + phase) % 4 < 2,
        torch.zeros(N, SIZE, SIZE, dtype=torch.bool),
    ],
    dim=1,
).float()
images = patterns[torch.arange(N), labels].unsqueeze(1).repeat(1, 3, 1, 1)
images = images + 0.5 * torch.randn(N, 3, SIZE, SIZE)

train_set, test_set = random_split(TensorDataset(images, labels), [N_TRAIN, N - N_TRAIN])
train_loader = DataLoader(train_set, batch_size=BATCH, shuffle=True)
test_loader = DataLoader(test_set, batch_size=BATCH // 2)


class PatchEmbedding(nn.Module):
    def __init__(self, img_size, patch_size, in_chans, embed_dim):
        super().__init__()
        self.num_patches = (img_size // patch_size) ** 2
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x):
        x = self.proj(x)
        x = x.flatten(2).transpose(1, 2)
        return x


class Attention(nn.Module):
    def __init__(self, dim, num_heads=8, qkv_bias=True, attn_p=0.0, proj_p=0.0):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.scale = self.head_dim**-0.5
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_p)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_p)

    def forward(self, x):
        n_samples, n_tokens, dim = x.shape
        qkv = self.qkv(x)
        qkv = qkv.reshape(n_samples, n_tokens, 3, self.num_heads, self.head_dim)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        dp = (q @ k.transpose(-2, -1)) * self.scale
        attn = dp.softmax(dim=-1)
        self.last_attention = attn.detach()
        attn = self.attn_drop(attn)
        weighted_avg = attn @ v
        weighted_avg = weighted_avg.transpose(1, 2)
        weighted_avg = weighted_avg.flatten(2)
        x = self.proj(weighted_avg)
        x = self.proj_drop(x)
        return x


class MLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features, p=0.0):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_features, hidden_features),
            nn.GELU(),
            nn.Dropout(p),
            nn.Linear(hidden_features, out_features),
            nn.Dropout(p),
        )

    def forward(self, x):
        return self.net(x)


class DropPath(nn.Module):
    """Stochastic depth: leaves a whole residual branch out, for some of the samples."""

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        random_tensor = keep_prob + torch.rand(shape, dtype=x.dtype, device=x.device)
        random_tensor.floor_()
        return x.div(keep_prob) * random_tensor


class Block(nn.Module):
    def __init__(self, dim, num_heads, mlp_ratio=4.0, p=0.0, attn_p=0.0, drop_path=0.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads=num_heads, attn_p=attn_p, proj_p=p)
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(in_features=dim, hidden_features=int(dim * mlp_ratio), out_features=dim, p=p)

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class VisionTransformer(nn.Module):
    def __init__(self, img_size, patch_size, in_chans, n_classes, embed_dim, depth, n_heads, mlp_ratio=2.0, p=0.0):
        super().__init__()
        self.patch_embed = PatchEmbedding(img_size, patch_size, in_chans, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.patch_embed.num_patches, embed_dim))
        self.pos_drop = nn.Dropout(p=p)
        dpr = [x.item() for x in torch.linspace(0, 0.2, depth)]
        self.blocks = nn.Sequential(
            *[Block(embed_dim, n_heads, mlp_ratio=mlp_ratio, p=p, drop_path=dpr[i]) for i in range(depth)]
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.head = nn.Linear(embed_dim, n_classes)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(self._init_weights)

    def _init_weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            if m.bias is not None:
                nn.init.constant_(m.bias, 0)
        elif isinstance(m, nn.LayerNorm):
            nn.init.constant_(m.bias, 0)
            nn.init.constant_(m.weight, 1.0)

    def forward(self, x):
        n_samples = x.shape[0]
        x = self.patch_embed(x)
        cls_token = self.cls_token.expand(n_samples, -1, -1)
        x = torch.cat((cls_token, x), dim=1)
        x = x + self.pos_embed
        x = self.pos_drop(x)
        x = self.blocks(x)
        x = self.norm(x)
        return self.head(x[:, 0])


model = VisionTransformer(
    img_size=SIZE, patch_size=PATCH, in_chans=3, n_classes=4, embed_dim=EMBED_DIM, depth=DEPTH, n_heads=HEADS, p=0.1
)
no_decay = {"pos_embed", "cls_token"}
decay, skip = [], []
for name, param in model.named_parameters():
    if param.ndim <= 1 or name in no_decay:
        skip.append(param)
    else:
        decay.append(param)
print(f"{len(decay)} tensors decay, {len(skip)} don't")

criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.05}, {"params": skip, "weight_decay": 0.0}], lr=3e-3
)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS, eta_min=1e-4)

for epoch in range(EPOCHS):
    model.train()
    for inputs, targets in train_loader:
        outputs = model(inputs)
        loss = criterion(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()

    model.eval()
    correct, total = 0, 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            outputs = model(inputs)
            _, predicted = torch.max(outputs, 1)
            total += targets.size(0)
            correct += (predicted == targets).sum().item()
    checks["accuracy"].append(correct / total)
    print(f"Epoch {epoch + 1}/{EPOCHS}: {correct}/{total} right")

# What the class token attends to, in the last block.
attention = model.blocks[-1].attn.last_attention[:, :, 0, 1:].mean(dim=(0, 1))
checks["attention"] = attention.tolist()
print(attention.argmax().item(), attention.reshape(SIZE // PATCH, SIZE // PATCH).shape)
