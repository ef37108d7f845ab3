/** A one-stage detector (RetinaNet, Lin et al., 2017): anchors, matching, focal loss, box regression, suppression. */
import { data, F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(4);
export const losses: number[] = [];
const [SIZE, CLASSES, CHANNELS, BATCH, STEPS, N] = [32, 2, 12, 4, 30, 24];
const [STRIDES, SCALES, RATIOS] = [
  [8, 16],
  [1.0, 1.5],
  [0.5, 1.0, 2.0],
];

interface Target {
  boxes: Tensor;
  labels: Tensor;
}

class Shapes extends data.Dataset<[Tensor, Target]> {
  items: [Tensor, Target][] = [];

  constructor(n: number) {
    super();
    for (let i = 0; i < n; i++) {
      const count = torch.randint(0, 3, []).item();
      const image = torch.randn(3, SIZE, SIZE).mul(0.1);
      let [boxes, labels] = [torch.zeros(0, 4), torch.zeros(0, { dtype: torch.int64 })];
      for (let j = 0; j < count; j++) {
        const wh = torch.randint(6, 16, [2]);
        const xy = torch.rand(2).mul(torch.sub(SIZE, wh)).floor().long();
        const label = torch.randint(CLASSES, [1]);
        const [x1, y1, x2, y2] = torch.cat([xy, xy.add(wh)]).tolist() as number[];
        const place = [label, `${y1}:${y2}`, `${x1}:${x2}`] as const;
        image.indexPut_([...place], image.index(...place).add(1));
        boxes = torch.cat([boxes, torch.tensor([[x1, y1, x2, y2]], { dtype: torch.float32 })]);
        labels = torch.cat([labels, label]);
      }
      this.items.push([image, { boxes, labels }]);
    }
  }

  get length(): number {
    return this.items.length;
  }

  get(i: number): [Tensor, Target] {
    return this.items[i];
  }
}

function collateFn(batch: [Tensor, Target][]): [Tensor[], Target[]] {
  return [batch.map(([image]) => image), batch.map(([, target]) => target)];
}

function makeAnchors(): Tensor {
  const anchors: Tensor[] = [];
  for (const stride of STRIDES) {
    const shifts = torch
      .arange(0, Math.floor(SIZE / stride))
      .add(0.5)
      .mul(stride);
    const [cy, cx] = torch.meshgrid(shifts, shifts, { indexing: "ij" }) as [Tensor, Tensor];
    const centers = torch.stack([cx, cy, cx, cy], { dim: -1 }).reshape(-1, 1, 4);
    const cells: number[][] = [];
    for (const scale of SCALES)
      for (const ratio of RATIOS) {
        const w = (stride * scale) / Math.sqrt(ratio);
        const h = w * ratio;
        cells.push([-w / 2, -h / 2, w / 2, h / 2]);
      }
    anchors.push(centers.add(torch.tensor(cells).index(null)).reshape(-1, 4));
  }
  return torch.cat(anchors);
}

function boxIou(a: Tensor, b: Tensor): Tensor {
  const areaA = a.index(":", "2:").sub(a.index(":", ":2")).prod(1);
  const areaB = b.index(":", "2:").sub(b.index(":", ":2")).prod(1);
  const lt = torch.max(a.index(":", null, ":2"), b.index(null, ":", ":2"));
  const rb = torch.min(a.index(":", null, "2:"), b.index(null, ":", "2:"));
  const wh = rb.sub(lt).clamp({ min: 0 });
  const inter = wh.index("...", 0).mul(wh.index("...", 1));
  return inter.div(areaA.index(":", null).add(areaB).sub(inter));
}

function encode(boxes: Tensor, anchors: Tensor): Tensor {
  const wh = boxes.index(":", "2:").sub(boxes.index(":", ":2"));
  const awh = anchors.index(":", "2:").sub(anchors.index(":", ":2"));
  const centers = boxes.index(":", ":2").add(wh.div(2));
  const acenters = anchors.index(":", ":2").add(awh.div(2));
  return torch.cat([centers.sub(acenters).div(awh), torch.log(wh.div(awh))], { dim: 1 });
}

function decode(deltas: Tensor, anchors: Tensor): Tensor {
  const awh = anchors.index(":", "2:").sub(anchors.index(":", ":2"));
  const centers = deltas.index("...", ":2").mul(awh).add(anchors.index(":", ":2")).add(awh.div(2));
  const wh = deltas
    .index("...", "2:")
    .clamp({ max: Math.log(4.0) })
    .exp()
    .mul(awh);
  return torch.cat([centers.sub(wh.div(2)), centers.add(wh.div(2))], -1).clamp_(0, SIZE);
}

function match(boxes: Tensor, anchors: Tensor, { high = 0.5, low = 0.4 } = {}): Tensor {
  if (boxes.numel() === 0) return torch.full([anchors.size(0)], -1);
  const iou = boxIou(boxes, anchors);
  const { values: matchedVals, indices: matches } = iou.max({ dim: 0 });
  const allMatches = matches.clone();
  const below = matchedVals.lt(low);
  const between = matchedVals.ge(low).logicalAnd(matchedVals.lt(high));
  matches.indexPut_([below], -1);
  matches.indexPut_([between], -2);
  const { values: highest } = iou.max({ dim: 1 });
  const [, predInds] = torch.where(iou.eq(highest.index(":", null)));
  matches.indexPut_([predInds], allMatches.index(predInds));
  return matches;
}

function sigmoidFocalLoss(inputs: Tensor, targets: Tensor, { alpha = 0.25, gamma = 2.0 } = {}): Tensor {
  const p = torch.sigmoid(inputs);
  const ce = F.binaryCrossEntropyWithLogits(inputs, targets, { reduction: "none" });
  const other = torch.sub(1, targets);
  const pT = p.mul(targets).add(torch.sub(1, p).mul(other));
  const loss = ce.mul(torch.sub(1, pT).pow(gamma));
  return targets
    .mul(alpha)
    .add(other.mul(1 - alpha))
    .mul(loss)
    .sum();
}

function nms(boxes: Tensor, scores: Tensor, threshold: number): Tensor {
  let order = scores.argsort({ descending: true });
  const keep: number[] = [];
  while (order.numel() > 0) {
    const i = order.index(0).item();
    keep.push(i);
    if (order.numel() === 1) break;
    const iou = boxIou(boxes.index(i).unsqueeze(0), boxes.index(order.index("1:"))).squeeze(0);
    order = order.index("1:").index(iou.le(threshold));
  }
  return torch.tensor(keep, { dtype: torch.long });
}

class Head extends nn.Module {
  conv: nn.Sequential;
  out: nn.Conv2d;
  outChannels: number;

  constructor(outChannels: number, { prior }: { prior?: number } = {}) {
    super();
    this.conv = new nn.Sequential(
      new nn.Conv2d(CHANNELS, CHANNELS, 3, { padding: 1 }),
      new nn.GroupNorm(4, CHANNELS),
      new nn.ReLU(),
    );
    this.out = new nn.Conv2d(CHANNELS, SCALES.length * RATIOS.length * outChannels, 3, { padding: 1 });
    this.outChannels = outChannels;
    for (const layer of this.conv.children())
      if (layer instanceof nn.Conv2d) {
        nn.init.normal_(layer.weight, { std: 0.05 });
        nn.init.constant_(layer.bias!, 0);
      }
    nn.init.normal_(this.out.weight, { std: 0.02 });
    nn.init.constant_(this.out.bias!, prior === undefined ? 0 : -Math.log((1 - prior) / prior));
  }

  forward(features: Tensor[]): Tensor {
    const outputs: Tensor[] = [];
    for (let x of features) {
      x = this.out(this.conv(x));
      const [N, , H, W] = x.shape as [number, number, number, number];
      x = x.view(N, -1, this.outChannels, H, W).permute(0, 3, 4, 1, 2);
      outputs.push(x.reshape(N, -1, this.outChannels));
    }
    return torch.cat(outputs, { dim: 1 });
  }
}

class RetinaNet extends nn.Module {
  static override stateDictNames = "snake_case" as const;
  stem: nn.Sequential;
  c3: nn.Sequential;
  c4: nn.Sequential;
  lateral: nn.ModuleDict;
  clsHead: Head;
  boxHead: Head;
  declare anchors: Tensor;

  constructor() {
    super();
    const block = (i: number, o: number) =>
      new nn.Sequential(
        new nn.Conv2d(i, o, 3, { stride: 2, padding: 1, bias: false }),
        new nn.BatchNorm2d(o),
        new nn.ReLU(),
      );
    this.stem = new nn.Sequential(block(3, CHANNELS), block(CHANNELS, CHANNELS));
    [this.c3, this.c4] = [block(CHANNELS, CHANNELS), block(CHANNELS, CHANNELS)];
    this.lateral = new nn.ModuleDict({
      p3: new nn.Conv2d(CHANNELS, CHANNELS, 1),
      p4: new nn.Conv2d(CHANNELS, CHANNELS, 1),
    });
    [this.clsHead, this.boxHead] = [new Head(CLASSES, { prior: 0.01 }), new Head(4)];
    this.registerBuffer("anchors", makeAnchors(), { persistent: false });
  }

  forward(images: Tensor): [Tensor, Tensor] {
    const c3 = this.c3(this.stem(images));
    const c4 = this.c4(c3);
    const p4 = this.lateral.get("p4")(c4);
    const p3 = this.lateral
      .get("p3")(c3)
      .add(F.interpolate(p4, { size: c3.shape.slice(-2), mode: "nearest" }));
    const features = [p3, p4];
    return [this.clsHead(features), this.boxHead(features)];
  }

  computeLoss(logits: Tensor, deltas: Tensor, targets: Target[]): Record<string, Tensor> {
    const clsLoss: Tensor[] = [];
    const boxLoss: Tensor[] = [];
    for (const [i, target] of targets.entries()) {
      const [logit, delta] = [logits.index(i), deltas.index(i)];
      const matches = match(target.boxes, this.anchors);
      const foreground = matches.ge(0);
      const numForeground = foreground.sum().clamp({ min: 1 });
      const gt = torch.zerosLike(logit);
      gt.indexPut_([foreground, target.labels.index(matches.index(foreground))], 1.0);
      const valid = matches.ne(-2);
      clsLoss.push(sigmoidFocalLoss(logit.index(valid), gt.index(valid)).div(numForeground));
      const fg = torch.where(foreground)[0];
      const regression = encode(target.boxes.index(matches.index(fg)), this.anchors.index(fg, ":"));
      boxLoss.push(
        F.smoothL1Loss(delta.index(fg), regression, { reduction: "sum", beta: 0.1 }).div(numForeground),
      );
    }
    const sum = (list: Tensor[]) => list.reduce((a, b) => a.add(b));
    return {
      classification: sum(clsLoss).div(targets.length),
      bboxRegression: sum(boxLoss).div(targets.length),
    };
  }

  detect(images: Tensor, { scoreThreshold = 0.05, topk = 20 } = {}) {
    return torch.noGrad(() => {
      const [logits, deltas] = this.forward(images);
      const detections: (Target & { scores: Tensor })[] = [];
      for (const [i, logit] of [...logits.sigmoid()].entries()) {
        let { values: scores, indices: idxs } = logit.flatten().topk(topk);
        const keep = scores.gt(scoreThreshold);
        [scores, idxs] = [scores.index(keep), idxs.index(keep)];
        const anchorIdxs = torch.div(idxs, CLASSES, { roundingMode: "floor" });
        const labels = idxs.remainder(CLASSES);
        const boxes = decode(deltas.index(i, anchorIdxs), this.anchors.index(anchorIdxs));
        const kept = nms(boxes.add(labels.index(":", null).mul(SIZE + 1)), scores, 0.5).index(":5");
        detections.push({ boxes: boxes.index(kept), scores: scores.index(kept), labels: labels.index(kept) });
      }
      return detections;
    });
  }
}

const dataset = new Shapes(N);
const loader = new data.DataLoader(dataset, BATCH, { shuffle: true, collateFn });
const model = new RetinaNet();
print(model.lateral, model.stateDict().size, model.anchors.shape);
const optimizer = new optim.SGD(model.parameters(), {
  lr: 0.02,
  momentum: 0.9,
  weightDecay: 1e-4,
  nesterov: true,
});
const scheduler = new optim.lrScheduler.MultiStepLR(optimizer, { milestones: [18, 24], gamma: 0.1 });
const warmup = new optim.lrScheduler.LambdaLR(optimizer, (step) => Math.min(1.0, (step + 1) / 6));
const parts: number[] = [];
let step = 0;
for (let epoch = 0; epoch < (STEPS * BATCH) / N; epoch++)
  for (const [images, targets] of loader) {
    const lossDict = model.computeLoss(...model(torch.stack(images)), targets);
    const loss = Object.values(lossDict).reduce((a, b) => a.add(b));
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    if (step < 6) warmup.step();
    else scheduler.step();
    step++;
    losses.push(loss.item());
    parts.push(...Object.values(lossDict).map((v) => v.item()));
  }
model.eval();
const detections = model.detect(torch.stack([0, 1].map((i) => dataset.get(i)[0])), { scoreThreshold: 0.01 });
export const checks = {
  parts,
  boxes: torch
    .cat(detections.map((d) => d.boxes))
    .flatten()
    .tolist() as number[],
  scores: torch.cat(detections.map((d) => d.scores)).tolist() as number[],
};
