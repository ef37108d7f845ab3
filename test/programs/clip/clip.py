"""CLIP (Radford et al., 2021): pictures and their captions in one space, by a symmetric contrastive loss."""

import math
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
losses = []
checks = {}
SIZE, CHANNELS, EMBED_DIM = 16, 8, 16
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS = 16, 2, 1
N, BATCH, ACCUM, STEPS = 64, 8, 2, 10
CONTEXT_LENGTH = 8
WARMUP = 3

COLOURS = {"red": (1.0, 0.1, 0.1), "green": (0.1, 1.0, 0.1), "blue": (0.1, 0.1, 1.0), "white": (0.9, 0.9, 0.9)}
SHAPES = ["disc", "square", "cross", "ring"]
PLACES = ["left", "right", "middle"]
WORDS = ["<pad>", "<start>", "a", "on", "the", "in", *COLOURS, *SHAPES, *PLACES, "<end>"]
VOCAB_SIZE = len(WORDS)


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ResidualAttentionBlock(nn.Module):
    def __init__(self, d_model, n_head, attn_mask):
        super().__init__()
        self.attn = nn.MultiheadAttention(d_model, n_head)
        self.ln_1 = nn.LayerNorm(d_model)
        self.mlp = nn.Sequential(
            OrderedDict(
                [
                    ("c_fc", nn.Linear(d_model, d_model * 4)),
                    ("gelu", QuickGELU()),
                    ("c_proj", nn.Linear(d_model * 4, d_model)),
                ]
            )
        )
        self.ln_2 = nn.LayerNorm(d_model)
        self.attn_mask = attn_mask

    def attention(self, x):
        return self.attn(x, x, x, need_weights=False, attn_mask=self.attn_mask)[0]

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x


class ImageTower(nn.Module):
    def __init__(self, width, embed_dim):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, kernel_size=3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AvgPool2d(2)
        self.proj = nn.Linear(4 * width * (SIZE // 8) ** 2, embed_dim)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.avgpool(self.relu(self.bn3(self.conv3(x))))
        return self.proj(x.flatten(1))


class CLIP(nn.Module):
    def __init__(self):
        super().__init__()
        self.context_length = CONTEXT_LENGTH
        self.visual = ImageTower(CHANNELS, EMBED_DIM)
        self.transformer = nn.Sequential(
            *[ResidualAttentionBlock(TEXT_WIDTH, TEXT_HEADS, self.build_attention_mask()) for _ in range(TEXT_LAYERS)]
        )
        self.token_embedding = nn.Embedding(VOCAB_SIZE, TEXT_WIDTH)
        self.positional_embedding = nn.Parameter(torch.empty(self.context_length, TEXT_WIDTH))
        self.ln_final = nn.LayerNorm(TEXT_WIDTH)
        self.text_projection = nn.Parameter(torch.empty(TEXT_WIDTH, EMBED_DIM))
        self.logit_scale = nn.Parameter(torch.ones([]) * math.log(1 / 0.07))
        self.initialize_parameters()

    def initialize_parameters(self):
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        proj_std = (TEXT_WIDTH**-0.5) * ((2 * TEXT_LAYERS) ** -0.5)
        attn_std = TEXT_WIDTH**-0.5
        fc_std = (2 * TEXT_WIDTH) ** -0.5
        for block in self.transformer:
            nn.init.normal_(block.attn.in_proj_weight, std=attn_std)
            nn.init.normal_(block.attn.out_proj.weight, std=proj_std)
            nn.init.normal_(block.mlp.c_fc.weight, std=fc_std)
            nn.init.normal_(block.mlp.c_proj.weight, std=proj_std)
        nn.init.normal_(self.text_projection, std=TEXT_WIDTH**-0.5)

    def build_attention_mask(self):
        mask = torch.empty(self.context_length, self.context_length)
        mask.fill_(float("-inf"))
        mask.triu_(1)
        return mask

    def encode_image(self, image):
        return self.visual(image)

    def encode_text(self, text):
        x = self.token_embedding(text)
        x = x + self.positional_embedding
        x = x.permute(1, 0, 2)
        x = self.transformer(x)
        x = x.permute(1, 0, 2)
        x = self.ln_final(x)
        # The end of text has the highest number in each sequence.
        x = x[torch.arange(x.shape[0]), text.argmax(dim=-1)] @ self.text_projection
        return x

    def forward(self, image, text):
        image_features = self.encode_image(image)
        text_features = self.encode_text(text)
        image_features = image_features / image_features.norm(dim=1, keepdim=True)
        text_features = text_features / text_features.norm(dim=1, keepdim=True)
        logit_scale = self.logit_scale.exp()
        logits_per_image = logit_scale * image_features @ text_features.t()
        logits_per_text = logits_per_image.t()
        return logits_per_image, logits_per_text


def tokenize(texts):
    result = torch.zeros(len(texts), CONTEXT_LENGTH, dtype=torch.long)
    for i, text in enumerate(texts):
        tokens = [WORDS.index(word) for word in ["<start>", *text.split(), "<end>"]]
        result[i, : len(tokens)] = torch.tensor(tokens)
    return result


def draw(colour, shape, place):
    axis = torch.linspace(-1, 1, SIZE)
    ys, xs = torch.meshgrid(axis, axis, indexing="ij")
    xs = xs - {"left": -0.4, "right": 0.4, "middle": 0.0}[place] + 0.1 * torch.randn(1)
    ys = ys + 0.2 * torch.randn(1)
    if shape == "disc":
        mask = xs**2 + ys**2 < 0.2
    elif shape == "square":
        mask = (xs.abs() < 0.4) & (ys.abs() < 0.4)
    elif shape == "cross":
        mask = ((xs.abs() < 0.15) | (ys.abs() < 0.15)) & (xs.abs() < 0.5) & (ys.abs() < 0.5)
    else:
        distance = xs**2 + ys**2
        mask = (distance < 0.3) & (distance > 0.1)
    picture = mask.float() * torch.tensor(COLOURS[colour]).view(3, 1, 1)
    return picture + 0.1 * torch.randn(3, SIZE, SIZE)


def pick(options):
    return options[torch.randint(len(options), (1,)).item()]


pictures, captions = [], []
for _ in range(N):
    colour, shape, place = pick(list(COLOURS)), pick(SHAPES), pick(PLACES)
    pictures.append(draw(colour, shape, place))
    captions.append(f"a {colour} {shape} in the {place}" if place == "middle" else f"a {colour} {shape} on the {place}")
images, texts = torch.stack(pictures), tokenize(captions)
print(captions[0], texts[0])

model = CLIP()
print(model)
exclude = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n
named_parameters = list(model.named_parameters())
gain_or_bias_params = [p for n, p in named_parameters if exclude(n, p) and p.requires_grad]
rest_params = [p for n, p in named_parameters if not exclude(n, p) and p.requires_grad]
optimizer = torch.optim.AdamW(
    [{"params": gain_or_bias_params, "weight_decay": 0.0}, {"params": rest_params, "weight_decay": 0.2}],
    lr=2e-3,
    betas=(0.9, 0.98),
    eps=1e-6,
)


def assign_learning_rate(step):
    if step < WARMUP:
        lr = 2e-3 * (step + 1) / WARMUP
    else:
        lr = 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))) * 2e-3
    for param_group in optimizer.param_groups:
        param_group["lr"] = lr
    return lr


temperatures = []
for step in range(STEPS):
    assign_learning_rate(step)
    model.train()
    optimizer.zero_grad()
    for _ in range(ACCUM):
        index = torch.randperm(N)[:BATCH]
        logits_per_image, logits_per_text = model(images[index], texts[index])
        labels = torch.arange(BATCH)
        total_loss = (F.cross_entropy(logits_per_image, labels) + F.cross_entropy(logits_per_text, labels)) / 2
        (total_loss / ACCUM).backward()
        losses.append(total_loss.item())
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=2.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    temperatures.append(model.logit_scale.item())

# Zero-shot classification of the shape: a mean of several prompts for each class.
model.eval()
with torch.no_grad():
    weights = []
    for shape in SHAPES:
        prompts = tokenize([f"a {colour} {shape} in the middle" for colour in COLOURS])
        class_embeddings = model.encode_text(prompts)
        class_embeddings = F.normalize(class_embeddings, dim=-1).mean(dim=0)
        weights.append(class_embeddings / class_embeddings.norm())
    zeroshot_weights = torch.stack(weights, dim=1)
    features = F.normalize(model.encode_image(images[:BATCH]), dim=-1)
    logits = 100.0 * features @ zeroshot_weights
    shapes = torch.tensor([[w in caption.split() for w in SHAPES].index(True) for caption in captions[:BATCH]])
    right = (logits.argmax(dim=1) == shapes).sum().item()
print(f"zero-shot: {right} of {BATCH}")
checks["logits"] = logits[0].tolist()
checks["temperatures"] = temperatures
