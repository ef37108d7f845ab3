"""Two towers (Covington et al., 2016): bags of watched films and films, softmax over the batch, then recall, resumed from a checkpoint."""
import math
import os
import tempfile
from argparse import Namespace
from collections import Counter, defaultdict

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler, WeightedRandomSampler

args = Namespace(users=40, items=60, genres=4, dim=16, batch_size=32, epochs=6, lr=0.02, temperature=0.1, k=5, seed=7)


class Interactions(Dataset):
    """Who watched what: each user likes one genre."""

    def __init__(self, args):
        taste = torch.randint(0, args.genres, (args.users,))
        self.genre = torch.arange(args.items) % args.genres
        self.history = defaultdict(list)
        self.rows = []
        self.held_out = {}
        popularity = 1.0 / torch.arange(1, args.items + 1) ** 0.5
        for user in range(args.users):
            weights = popularity * torch.where(self.genre == taste[user], 6.0, 1.0)
            picks = torch.multinomial(weights, int(torch.randint(4, 9, (1,))), replacement=False)
            *seen, last = picks.tolist()
            self.held_out[user] = last
            self.history[user].extend(seen)
            for item in seen:
                self.rows.append((user, item))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        user, item = self.rows[i]
        rest = [other for other in self.history[user] if other != item]
        return {"user": user, "bag": torch.tensor(rest), "item": item, "weights": 1.0 / torch.arange(1, len(rest) + 1)}


def collate(batch):
    lengths = torch.tensor([0] + [len(row["bag"]) for row in batch])
    return {
        "user": torch.LongTensor([row["user"] for row in batch]),
        "bag": torch.cat([row["bag"] for row in batch]),
        "weights": torch.cat([row["weights"] for row in batch]),
        "offsets": torch.cumsum(lengths, 0)[:-1],
        "item": torch.LongTensor([row["item"] for row in batch]),
    }


class RarestFirst(Sampler):
    def __init__(self, frequencies, rows):
        self.order = sorted(range(len(rows)), key=lambda i: (frequencies[rows[i][1]], i))

    def __iter__(self):
        return iter(self.order)

    def __len__(self):
        return len(self.order)


class Tower(nn.Module):
    def __init__(self, features, dim, p=0.1):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, 2 * dim), nn.PReLU(), nn.Dropout(p), nn.Linear(2 * dim, dim))

    def forward(self, x):
        return F.normalize(self.net(x), dim=-1)


class TwoTower(nn.Module):
    def __init__(self, args, genre):
        super().__init__()
        self.users = nn.Embedding(args.users, args.dim, max_norm=2.0)
        self.watched = nn.EmbeddingBag(args.items, args.dim, mode="sum")
        self.items = nn.Embedding(args.items, args.dim)
        self.genres = nn.Embedding.from_pretrained(torch.eye(4), freeze=False)
        self.towers = nn.ModuleDict({"query": Tower(2 * args.dim, args.dim), "item": Tower(args.dim + 4, args.dim)})
        self.log_temperature = nn.Parameter(torch.tensor(math.log(args.temperature)))
        self.register_buffer("genre", genre, persistent=False)
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(m):
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight, gain=nn.init.calculate_gain("relu"))
            nn.init.zeros_(m.bias)
        elif isinstance(m, (nn.EmbeddingBag, nn.Embedding)) and m.weight.shape[1] > 4:
            nn.init.trunc_normal_(m.weight, std=0.3, a=-0.6, b=0.6)

    def query(self, user, bag, offsets, weights):
        x = torch.hstack([self.users(user), self.watched(bag, offsets, per_sample_weights=weights)])
        return self.towers["query"](x)

    def item(self, item):
        return self.towers["item"](torch.cat((self.items(item), self.genres(self.genre[item])), dim=-1))

    def forward(self, batch, log_q):
        q = self.query(batch["user"], batch["bag"], batch["offsets"], batch["weights"])
        v = self.item(batch["item"])
        logits = q @ v.T / self.log_temperature.exp() - log_q[batch["item"]]
        # others in the batch that are the same film are no negatives
        same = batch["item"][:, None] == batch["item"][None, :]
        same.fill_diagonal_(False)
        return logits.masked_fill(same, float("-inf"))


def evaluate(model, dataset, args):
    training = model.training
    model.eval()
    hits, ndcg, ranks = 0, 0.0, []
    with torch.inference_mode():
        catalogue = model.item(torch.arange(args.items))
        for user, target in dataset.held_out.items():
            seen = torch.tensor(dataset.history[user])
            q = model.query(torch.tensor([user]), seen, torch.tensor([0]), 1.0 / torch.arange(1, len(seen) + 1))
            scores = (q @ catalogue.t()).squeeze(0)
            scores[seen] = -torch.inf
            rank = int((scores > scores[target]).sum()) + 1
            ranks.append(rank)
            top = torch.topk(scores, args.k).indices
            if target in top:
                hits += 1
                ndcg += 1 / math.log2(rank + 1)
    model.train(training)
    return {"recall": hits / len(ranks), "ndcg": ndcg / len(ranks), "mrr": sum(1 / r for r in ranks) / len(ranks)}


class Trainer:
    def __init__(self, model, optimizer, scheduler, log_q):
        self.model, self.optimizer, self.scheduler, self.log_q = model, optimizer, scheduler, log_q
        self.epoch = 0
        self.history = []

    def fit_epoch(self, loader):
        running, seen = 0.0, 0
        for batch in loader:
            logits = self.model(batch, self.log_q)
            target = torch.arange(logits.shape[0])
            loss = F.cross_entropy(logits, target, label_smoothing=0.0)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=1.0)
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.item())
            norms.append(norm.item())
            running += loss.item() * len(target)
            seen += len(target)
        self.epoch += 1
        self.history.append(running / seen)
        return running / seen

    def state_dict(self):
        return {key: getattr(self, key).state_dict() for key in ("model", "optimizer", "scheduler")} | {
            "epoch": self.epoch,
            "history": self.history,
            "rng": torch.get_rng_state(),
        }

    def load_state_dict(self, state):
        for key in ("model", "optimizer", "scheduler"):
            getattr(self, key).load_state_dict(state[key])
        self.epoch, self.history = state["epoch"], state["history"]
        torch.set_rng_state(state["rng"])


def build(dataset, log_q):
    model = TwoTower(args, dataset.genre)
    decay = [p for n, p in model.named_parameters() if n.endswith("weight") and "towers" in n]
    rest = [p for n, p in model.named_parameters() if not (n.endswith("weight") and "towers" in n)]
    optimizer = optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0, "lr": args.lr / 2}], lr=args.lr)
    steps = args.epochs * math.ceil(len(dataset) / args.batch_size)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[args.lr, args.lr / 2], total_steps=steps, pct_start=0.25)
    return Trainer(model, optimizer, scheduler, log_q)


losses, norms, checks = [], [], {}
torch.manual_seed(args.seed)
dataset = Interactions(args)
frequencies = Counter(item for _, item in dataset.rows)
print("most common", frequencies.most_common(1)[0][1], "rows", len(dataset))
counts = torch.bincount(torch.tensor([item for _, item in dataset.rows]), minlength=args.items)
log_q = torch.log((counts + 1) / (counts.sum() + args.items))
sampler = WeightedRandomSampler([1 / frequencies[item] ** 0.5 for _, item in dataset.rows], num_samples=len(dataset))
loader = DataLoader(dataset, args.batch_size, sampler=sampler, collate_fn=collate)
ordered = DataLoader(dataset, batch_size=64, sampler=RarestFirst(frequencies, dataset.rows), collate_fn=collate, drop_last=True)
trainer = build(dataset, log_q)
print(trainer.model)
print({n: p.shape for n, p in trainer.model.named_parameters() if "towers" not in n})
path = os.path.join(tempfile.mkdtemp(), "trainer.pt")
for epoch in range(args.epochs // 2):
    loss = trainer.fit_epoch(loader)
    print(f"epoch {trainer.epoch} loss {loss:.2f} " + " ".join(f"{k} {v:.3f}" for k, v in evaluate(trainer.model, dataset, args).items()))
torch.save(trainer.state_dict(), path)

torch.manual_seed(999)  # a new process
resumed = build(dataset, log_q)
resumed.load_state_dict(torch.load(path, weights_only=False))
while resumed.epoch < args.epochs:
    loss = resumed.fit_epoch(loader)
    print(f"epoch {resumed.epoch} loss {loss:.2f} lr {resumed.scheduler.get_last_lr()[0]:.2e} {resumed.optimizer.param_groups[1]['lr']:.2e}")
resumed.model.eval()
with torch.no_grad():
    for i, batch in enumerate(ordered):
        checks[f"ordered{i}"] = [F.cross_entropy(resumed.model(batch, log_q), torch.arange(64)).item()]
checks["norms"] = norms
checks["history"] = resumed.history
checks["metrics"] = list(evaluate(resumed.model, dataset, args).values())
similar = F.cosine_similarity(resumed.model.items.weight[0:1], resumed.model.items.weight, dim=1)
checks["similar"] = similar.tolist()
print(f"temperature {resumed.model.log_temperature.exp().item():.4f}", "genre" in resumed.model.state_dict())
