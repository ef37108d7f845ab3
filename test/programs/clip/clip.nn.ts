/** CLIP (Radford et al., 2021): pictures and their captions in one space, by a symmetric contrastive loss. */
import { F, nn, optim, print, torch, type Parameter, type Tensor } from "layerwise";

torch.manualSeed(12);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [SIZE, CHANNELS, EMBED_DIM] = [16, 8, 16];
const [TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS] = [16, 2, 1];
const [N, BATCH, ACCUM, STEPS] = [64, 8, 2, 10];
const CONTEXT_LENGTH = 8;
const WARMUP = 3;

const COLOURS: Record<string, [number, number, number]> = {
  red: [1.0, 0.1, 0.1],
  green: [0.1, 1.0, 0.1],
  blue: [0.1, 0.1, 1.0],
  white: [0.9, 0.9, 0.9],
};
const SHAPES = ["disc", "square", "cross", "ring"];
const PLACES = ["left", "right", "middle"];
const WORDS = [
  "<pad>",
  "<start>",
  "a",
  "on",
  "the",
  "in",
  ...Object.keys(COLOURS),
  ...SHAPES,
  ...PLACES,
  "<end>",
];
const VOCAB_SIZE = WORDS.length;

class QuickGELU extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.mul(torch.sigmoid(x.mul(1.702)));
  }
}

class ResidualAttentionBlock extends nn.Module {
  attn: nn.MultiheadAttention;
  ln_1: nn.LayerNorm;
  mlp: nn.Sequential;
  ln_2: nn.LayerNorm;
  attnMask: Tensor;

  constructor(dModel: number, nHead: number, attnMask: Tensor) {
    super();
    this.attn = new nn.MultiheadAttention(dModel, nHead);
    this.ln_1 = new nn.LayerNorm(dModel);
    this.mlp = new nn.Sequential({
      c_fc: new nn.Linear(dModel, dModel * 4),
      gelu: new QuickGELU(),
      c_proj: new nn.Linear(dModel * 4, dModel),
    });
    this.ln_2 = new nn.LayerNorm(dModel);
    this.attnMask = attnMask;
  }

  attention(x: Tensor): Tensor {
    return this.attn(x, x, x, { needWeights: false, attnMask: this.attnMask })[0];
  }

  forward(x: Tensor): Tensor {
    x = x.add(this.attention(this.ln_1(x)));
    x = x.add(this.mlp(this.ln_2(x)));
    return x;
  }
}

class ImageTower extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  conv3: nn.Conv2d;
  bn3: nn.BatchNorm2d;
  relu: nn.ReLU;
  avgpool: nn.AvgPool2d;
  proj: nn.Linear;

  constructor(width: number, embedDim: number) {
    super();
    this.conv1 = new nn.Conv2d(3, width, { kernelSize: 3, stride: 2, padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(width);
    this.conv2 = new nn.Conv2d(width, 2 * width, { kernelSize: 3, stride: 2, padding: 1, bias: false });
    this.bn2 = new nn.BatchNorm2d(2 * width);
    this.conv3 = new nn.Conv2d(2 * width, 4 * width, { kernelSize: 3, padding: 1, bias: false });
    this.bn3 = new nn.BatchNorm2d(4 * width);
    this.relu = new nn.ReLU({ inplace: true });
    this.avgpool = new nn.AvgPool2d(2);
    this.proj = new nn.Linear(4 * width * Math.floor(SIZE / 8) ** 2, embedDim);
  }

  forward(x: Tensor): Tensor {
    x = this.relu(this.bn1(this.conv1(x)));
    x = this.relu(this.bn2(this.conv2(x)));
    x = this.avgpool(this.relu(this.bn3(this.conv3(x))));
    return this.proj(x.flatten(1));
  }
}

class CLIP extends nn.Module {
  contextLength: number;
  visual: ImageTower;
  transformer: nn.Sequential;
  token_embedding: nn.Embedding;
  positional_embedding: Parameter;
  ln_final: nn.LayerNorm;
  text_projection: Parameter;
  logit_scale: Parameter;

  constructor() {
    super();
    this.contextLength = CONTEXT_LENGTH;
    this.visual = new ImageTower(CHANNELS, EMBED_DIM);
    this.transformer = new nn.Sequential(
      ...Array.from(
        { length: TEXT_LAYERS },
        () => new ResidualAttentionBlock(TEXT_WIDTH, TEXT_HEADS, this.buildAttentionMask()),
      ),
    );
    this.token_embedding = new nn.Embedding(VOCAB_SIZE, TEXT_WIDTH);
    this.positional_embedding = new nn.Parameter(torch.empty(this.contextLength, TEXT_WIDTH));
    this.ln_final = new nn.LayerNorm(TEXT_WIDTH);
    this.text_projection = new nn.Parameter(torch.empty(TEXT_WIDTH, EMBED_DIM));
    this.logit_scale = new nn.Parameter(torch.ones([]).mul(Math.log(1 / 0.07)));
    this.initializeParameters();
  }

  initializeParameters(): void {
    nn.init.normal_(this.token_embedding.weight, { std: 0.02 });
    nn.init.normal_(this.positional_embedding, { std: 0.01 });
    const projStd = TEXT_WIDTH ** -0.5 * (2 * TEXT_LAYERS) ** -0.5;
    const attnStd = TEXT_WIDTH ** -0.5;
    const fcStd = (2 * TEXT_WIDTH) ** -0.5;
    for (const module of this.transformer) {
      const block = module as ResidualAttentionBlock;
      nn.init.normal_(block.attn.inProjWeight!, { std: attnStd });
      nn.init.normal_(block.attn.outProj.weight, { std: projStd });
      nn.init.normal_((block.mlp[0] as nn.Linear).weight, { std: fcStd });
      nn.init.normal_((block.mlp[2] as nn.Linear).weight, { std: projStd });
    }
    nn.init.normal_(this.text_projection, { std: TEXT_WIDTH ** -0.5 });
  }

  buildAttentionMask(): Tensor {
    const mask = torch.empty(this.contextLength, this.contextLength);
    mask.fill_(-Infinity);
    mask.triu_(1);
    return mask;
  }

  encodeImage(image: Tensor): Tensor {
    return this.visual(image);
  }

  encodeText(text: Tensor): Tensor {
    let x = this.token_embedding(text);
    x = x.add(this.positional_embedding);
    x = x.permute(1, 0, 2);
    x = this.transformer(x);
    x = x.permute(1, 0, 2);
    x = this.ln_final(x);
    // The end of text has the highest number in each sequence.
    x = x.index(torch.arange(x.shape[0]), text.argmax({ dim: -1 })).matmul(this.text_projection);
    return x;
  }

  forward(image: Tensor, text: Tensor): [Tensor, Tensor] {
    let imageFeatures = this.encodeImage(image);
    let textFeatures = this.encodeText(text);
    imageFeatures = imageFeatures.div(imageFeatures.norm({ dim: 1, keepdim: true }));
    textFeatures = textFeatures.div(textFeatures.norm({ dim: 1, keepdim: true }));
    const logitScale = this.logit_scale.exp();
    const logitsPerImage = logitScale.mul(imageFeatures).matmul(textFeatures.t());
    const logitsPerText = logitsPerImage.t();
    return [logitsPerImage, logitsPerText];
  }
}

function tokenize(texts: string[]): Tensor {
  const result = torch.zeros(texts.length, CONTEXT_LENGTH, { dtype: torch.long });
  for (const [i, text] of texts.entries()) {
    const tokens = ["<start>", ...text.split(" "), "<end>"].map((word) => WORDS.indexOf(word));
    result.indexPut_([i, `:${tokens.length}`], torch.tensor(tokens));
  }
  return result;
}

function draw(colour: string, shape: string, place: string): Tensor {
  const axis = torch.linspace(-1, 1, SIZE);
  let [ys, xs] = torch.meshgrid(axis, axis, { indexing: "ij" });
  xs = xs.sub({ left: -0.4, right: 0.4, middle: 0.0 }[place]!).add(torch.randn(1).mul(0.1));
  ys = ys.add(torch.randn(1).mul(0.2));
  let mask: Tensor;
  if (shape === "disc") mask = xs.pow(2).add(ys.pow(2)).lt(0.2);
  else if (shape === "square") mask = xs.abs().lt(0.4).logicalAnd(ys.abs().lt(0.4));
  else if (shape === "cross")
    mask = xs
      .abs()
      .lt(0.15)
      .logicalOr(ys.abs().lt(0.15))
      .logicalAnd(xs.abs().lt(0.5))
      .logicalAnd(ys.abs().lt(0.5));
  else {
    const distance = xs.pow(2).add(ys.pow(2));
    mask = distance.lt(0.3).logicalAnd(distance.gt(0.1));
  }
  const picture = mask.float().mul(torch.tensor(COLOURS[colour]).view(3, 1, 1));
  return picture.add(torch.randn(3, SIZE, SIZE).mul(0.1));
}

function pick(options: string[]): string {
  return options[torch.randint(options.length, [1]).item()];
}

const pictures: Tensor[] = [];
const captions: string[] = [];
for (let i = 0; i < N; i++) {
  const [colour, shape, place] = [pick(Object.keys(COLOURS)), pick(SHAPES), pick(PLACES)];
  pictures.push(draw(colour, shape, place));
  captions.push(
    place === "middle" ? `a ${colour} ${shape} in the ${place}` : `a ${colour} ${shape} on the ${place}`,
  );
}
const [images, texts] = [torch.stack(pictures), tokenize(captions)];
print(captions[0], texts.index(0));

const model = new CLIP();
print(model);
const exclude = (n: string, p: Tensor): boolean =>
  p.ndim < 2 || ["bn", "ln", "bias", "logit_scale"].some((part) => n.includes(part));
const namedParameters = [...model.namedParameters()].filter(([, p]) => p.requiresGrad);
const gainOrBiasParams = namedParameters.filter(([n, p]) => exclude(n, p)).map(([, p]) => p);
const restParams = namedParameters.filter(([n, p]) => !exclude(n, p)).map(([, p]) => p);
const optimizer = new optim.AdamW(
  [
    { params: gainOrBiasParams, weightDecay: 0.0 },
    { params: restParams, weightDecay: 0.2 },
  ],
  { lr: 2e-3, betas: [0.9, 0.98], eps: 1e-6 },
);

function assignLearningRate(step: number): number {
  let lr: number;
  if (step < WARMUP) lr = (2e-3 * (step + 1)) / WARMUP;
  else lr = 0.5 * (1 + Math.cos((Math.PI * (step - WARMUP)) / (STEPS - WARMUP))) * 2e-3;
  for (const paramGroup of optimizer.paramGroups) paramGroup.lr = lr;
  return lr;
}

const temperatures: number[] = [];
for (let step = 0; step < STEPS; step++) {
  assignLearningRate(step);
  model.train();
  optimizer.zeroGrad();
  for (let micro = 0; micro < ACCUM; micro++) {
    const index = torch.randperm(N).index(`:${BATCH}`);
    const [logitsPerImage, logitsPerText] = model(images.index(index), texts.index(index));
    const labels = torch.arange(BATCH);
    const totalLoss = F.crossEntropy(logitsPerImage, labels)
      .add(F.crossEntropy(logitsPerText, labels))
      .div(2);
    totalLoss.div(ACCUM).backward();
    losses.push(totalLoss.item());
  }
  nn.utils.clipGradNorm_(model.parameters(), 1.0, { normType: 2.0 });
  optimizer.step();
  torch.noGrad(() => model.logit_scale.clamp_(0, Math.log(100)));
  temperatures.push(model.logit_scale.item());
}

// Zero-shot classification of the shape: a mean of several prompts for each class.
model.eval();
torch.noGrad(() => {
  const weights: Tensor[] = [];
  for (const shape of SHAPES) {
    const prompts = tokenize(Object.keys(COLOURS).map((colour) => `a ${colour} ${shape} in the middle`));
    let classEmbeddings = model.encodeText(prompts);
    classEmbeddings = F.normalize(classEmbeddings, { dim: -1 }).mean({ dim: 0 });
    weights.push(classEmbeddings.div(classEmbeddings.norm()));
  }
  const zeroshotWeights = torch.stack(weights, { dim: 1 });
  const features = F.normalize(model.encodeImage(images.index(`:${BATCH}`)), { dim: -1 });
  const logits = features.mul(100.0).matmul(zeroshotWeights);
  const shapes = torch.tensor(
    captions.slice(0, BATCH).map((caption) => SHAPES.findIndex((w) => caption.split(" ").includes(w))),
  );
  const right = logits.argmax({ dim: 1 }).eq(shapes).sum().item();
  print(`zero-shot: ${right} of ${BATCH}`);
  checks["logits"] = logits.index(0).tolist() as number[];
});
checks["temperatures"] = temperatures;
