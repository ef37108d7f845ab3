"""A one-stage detector (RetinaNet, Lin et al., 2017): anchors, matching, focal loss, box regression, suppression."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(4)
losses = []
SIZE, CLASSES, CHANNELS, BATCH, STEPS, N = 32, 2, 12, 4, 30, 24
STRIDES, SCALES, RATIOS = (8, 16), (1.0, 1.5), (0.5, 1.0, 2.0)


class Shapes(Dataset):
    def __init__(self, n):
        self.items = []
        for _ in range(n):
            count = int(torch.randint(0, 3, ()))
            image = 0.1 * torch.randn(3, SIZE, SIZE)
            boxes, labels = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
            for _ in range(count):
                wh = torch.randint(6, 16, (2,))
                xy = (torch.rand(2) * (SIZE - wh)).floor().long()
                label = torch.randint(CLASSES, (1,))
                x1, y1, x2, y2 = torch.cat([xy, xy + wh]).tolist()
                image[label, y1:y2, x1:x2] += 1
                boxes = torch.cat([boxes, torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32)])
                labels = torch.cat([labels, label])
            self.items.append((image, {"boxes": boxes, "labels": labels}))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate_fn(batch):
    return tuple(zip(*batch))


def make_anchors():
    anchors = []
    for stride in STRIDES:
        shifts = (torch.arange(0, SIZE // stride) + 0.5) * stride
        cy, cx = torch.meshgrid(shifts, shifts, indexing="ij")
        centers = torch.stack((cx, cy, cx, cy), dim=-1).reshape(-1, 1, 4)
        cells = []
        for scale in SCALES:
            for ratio in RATIOS:
                w = stride * scale / math.sqrt(ratio)
                h = w * ratio
                cells.append([-w / 2, -h / 2, w / 2, h / 2])
        anchors.append((centers + torch.tensor(cells)[None]).reshape(-1, 4))
    return torch.cat(anchors)


def box_iou(a, b):
    area_a = (a[:, 2:] - a[:, :2]).prod(1)
    area_b = (b[:, 2:] - b[:, :2]).prod(1)
    lt = torch.max(a[:, None, :2], b[None, :, :2])
    rb = torch.min(a[:, None, 2:], b[None, :, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[..., 0] * wh[..., 1]
    return inter / (area_a[:, None] + area_b - inter)


def encode(boxes, anchors):
    wh, awh = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    centers, acenters = boxes[:, :2] + wh / 2, anchors[:, :2] + awh / 2
    return torch.cat([(centers - acenters) / awh, torch.log(wh / awh)], dim=1)


def decode(deltas, anchors):
    awh = anchors[:, 2:] - anchors[:, :2]
    centers = deltas[..., :2] * awh + anchors[:, :2] + awh / 2
    wh = deltas[..., 2:].clamp(max=math.log(4.0)).exp() * awh
    return torch.cat([centers - wh / 2, centers + wh / 2], -1).clamp_(0, SIZE)


def match(boxes, anchors, high=0.5, low=0.4):
    if boxes.numel() == 0:
        return torch.full((len(anchors),), -1)
    iou = box_iou(boxes, anchors)
    matched_vals, matches = iou.max(dim=0)
    all_matches = matches.clone()
    below = matched_vals < low
    between = (matched_vals >= low) & (matched_vals < high)
    matches[below] = -1
    matches[between] = -2
    highest, _ = iou.max(dim=1)
    _, pred_inds = torch.where(iou == highest[:, None])
    matches[pred_inds] = all_matches[pred_inds]
    return matches


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2.0):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce * ((1 - p_t) ** gamma)
    return ((alpha * targets + (1 - alpha) * (1 - targets)) * loss).sum()


def nms(boxes, scores, threshold):
    order = scores.argsort(descending=True)
    keep = []
    while order.numel() > 0:
        i = order[0].item()
        keep.append(i)
        if order.numel() == 1:
            break
        iou = box_iou(boxes[i].unsqueeze(0), boxes[order[1:]]).squeeze(0)
        order = order[1:][iou <= threshold]
    return torch.tensor(keep, dtype=torch.long)


class Head(nn.Module):
    def __init__(self, out_channels, prior=None):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.GroupNorm(4, CHANNELS), nn.ReLU())
        self.out = nn.Conv2d(CHANNELS, len(SCALES) * len(RATIOS) * out_channels, 3, padding=1)
        self.out_channels = out_channels
        for layer in self.conv.children():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.05)
                nn.init.constant_(layer.bias, 0)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.constant_(self.out.bias, 0 if prior is None else -math.log((1 - prior) / prior))

    def forward(self, features):
        outputs = []
        for x in features:
            x = self.out(self.conv(x))
            N, _, H, W = x.shape
            x = x.view(N, -1, self.out_channels, H, W).permute(0, 3, 4, 1, 2)
            outputs.append(x.reshape(N, -1, self.out_channels))
        return torch.cat(outputs, dim=1)


class RetinaNet(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        self.stem = nn.Sequential(block(3, CHANNELS), block(CHANNELS, CHANNELS))
        self.c3, self.c4 = block(CHANNELS, CHANNELS), block(CHANNELS, CHANNELS)
        self.lateral = nn.ModuleDict({"p3": nn.Conv2d(CHANNELS, CHANNELS, 1), "p4": nn.Conv2d(CHANNELS, CHANNELS, 1)})
        self.cls_head, self.box_head = Head(CLASSES, prior=0.01), Head(4)
        self.register_buffer("anchors", make_anchors(), persistent=False)

    def forward(self, images):
        c3 = self.c3(self.stem(images))
        c4 = self.c4(c3)
        p4 = self.lateral["p4"](c4)
        p3 = self.lateral["p3"](c3) + F.interpolate(p4, size=c3.shape[-2:], mode="nearest")
        features = [p3, p4]
        return self.cls_head(features), self.box_head(features)

    def compute_loss(self, logits, deltas, targets):
        cls_loss, box_loss = [], []
        for target, logit, delta in zip(targets, logits, deltas):
            matches = match(target["boxes"], self.anchors)
            foreground = matches >= 0
            num_foreground = foreground.sum()
            gt = torch.zeros_like(logit)
            gt[foreground, target["labels"][matches[foreground]]] = 1.0
            valid = matches != -2
            cls_loss.append(sigmoid_focal_loss(logit[valid], gt[valid]) / max(1, num_foreground))
            fg = torch.where(foreground)[0]
            regression = encode(target["boxes"][matches[fg]], self.anchors[fg, :])
            box_loss.append(F.smooth_l1_loss(delta[fg], regression, reduction="sum", beta=0.1) / max(1, num_foreground))
        return {"classification": sum(cls_loss) / len(targets), "bbox_regression": sum(box_loss) / len(targets)}

    @torch.no_grad()
    def detect(self, images, score_threshold=0.05, topk=20):
        logits, deltas = self(images)
        detections = []
        for logit, delta in zip(logits.sigmoid(), deltas):
            scores, idxs = logit.flatten().topk(topk)
            keep = scores > score_threshold
            scores, idxs = scores[keep], idxs[keep]
            anchor_idxs, labels = torch.div(idxs, CLASSES, rounding_mode="floor"), idxs % CLASSES
            boxes = decode(delta[anchor_idxs], self.anchors[anchor_idxs])
            kept = nms(boxes + labels[:, None] * (SIZE + 1), scores, 0.5)[:5]
            detections.append({"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]})
        return detections


dataset = Shapes(N)
loader = DataLoader(dataset, BATCH, shuffle=True, collate_fn=collate_fn)
model = RetinaNet()
print(model.lateral, len(model.state_dict()), model.anchors.shape)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4, nesterov=True)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[18, 24], gamma=0.1)
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 6))
parts = []
step = 0
for epoch in range(STEPS * BATCH // N):
    for images, targets in loader:
        loss_dict = model.compute_loss(*model(torch.stack(images)), targets)
        loss = sum(loss_dict.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warmup.step() if step < 6 else scheduler.step()
        step += 1
        losses.append(loss.item())
        parts += [v.item() for v in loss_dict.values()]
model.eval()
detections = model.detect(torch.stack([dataset[i][0] for i in range(2)]), score_threshold=0.01)
checks = {
    "parts": parts,
    "boxes": torch.cat([d["boxes"] for d in detections]).flatten().tolist(),
    "scores": torch.cat([d["scores"] for d in detections]).tolist(),
}
