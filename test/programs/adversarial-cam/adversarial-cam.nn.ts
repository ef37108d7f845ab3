/** A DenseNet with squeeze and excitation, trained on PGD attacks (Madry et al., 2018); then FGSM, Grad-CAM and integrated gradients by hooks. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(31);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};

class _DenseLayer extends nn.Module {
  declare norm1: nn.BatchNorm2d;
  declare relu1: nn.ReLU;
  declare conv1: nn.Conv2d;
  declare norm2: nn.BatchNorm2d;
  declare relu2: nn.ReLU;
  declare conv2: nn.Conv2d;
  dropRate: number;
  constructor(numInputFeatures: number, growthRate: number, bnSize: number, dropRate: number) {
    super();
    this.addModule("norm1", new nn.BatchNorm2d(numInputFeatures));
    this.addModule("relu1", new nn.ReLU({ inplace: true }));
    this.addModule(
      "conv1",
      new nn.Conv2d(numInputFeatures, bnSize * growthRate, { kernelSize: 1, stride: 1, bias: false }),
    );
    this.norm2 = new nn.BatchNorm2d(bnSize * growthRate);
    this.relu2 = new nn.ReLU({ inplace: true });
    this.conv2 = new nn.Conv2d(bnSize * growthRate, growthRate, {
      kernelSize: 3,
      stride: 1,
      padding: 1,
      bias: false,
    });
    this.dropRate = dropRate;
  }
  forward(input: Tensor | Tensor[]): Tensor {
    const prevFeatures = input instanceof torch.Tensor ? [input] : input;
    const bottleneck = this.conv1(this.relu1(this.norm1(torch.cat(prevFeatures, 1))));
    let newFeatures = this.conv2(this.relu2(this.norm2(bottleneck)));
    if (this.dropRate > 0)
      newFeatures = F.dropout(newFeatures, { p: this.dropRate, training: this.training });
    return newFeatures;
  }
}

class _DenseBlock extends nn.ModuleDict<_DenseLayer> {
  constructor(
    numLayers: number,
    numInputFeatures: number,
    bnSize: number,
    growthRate: number,
    dropRate: number,
  ) {
    super();
    for (let i = 0; i < numLayers; i++) {
      const layer = new _DenseLayer(numInputFeatures + i * growthRate, growthRate, bnSize, dropRate);
      this.addModule(`denselayer${i + 1}`, layer);
    }
  }
  override forward(initFeatures: Tensor): Tensor {
    const features = [initFeatures];
    for (const [, layer] of this.items()) features.push(layer(features));
    return torch.cat(features, 1);
  }
}

class _Transition extends nn.Sequential {
  norm: nn.BatchNorm2d;
  relu: nn.ReLU;
  conv: nn.Conv2d;
  pool: nn.AvgPool2d;
  constructor(numInputFeatures: number, numOutputFeatures: number) {
    super();
    this.norm = new nn.BatchNorm2d(numInputFeatures);
    this.relu = new nn.ReLU({ inplace: true });
    this.conv = new nn.Conv2d(numInputFeatures, numOutputFeatures, { kernelSize: 1, bias: false });
    this.pool = new nn.AvgPool2d({ kernelSize: 2, stride: 2 });
  }
}

class SELayer extends nn.Module {
  avgPool = new nn.AdaptiveAvgPool2d(1);
  fc: nn.Sequential;
  static override stateDictNames = "snake_case";
  constructor(channel: number, reduction = 4) {
    super();
    this.fc = new nn.Sequential(
      new nn.Linear(channel, Math.floor(channel / reduction), { bias: false }),
      new nn.ReLU({ inplace: true }),
      new nn.Linear(Math.floor(channel / reduction), channel, { bias: false }),
      new nn.Sigmoid(),
    );
  }
  forward(x: Tensor): Tensor {
    const [b, c] = x.size();
    let y = this.avgPool(x).view(b, c);
    y = this.fc(y).view(b, c, 1, 1);
    return x.mul(y.expandAs(x));
  }
}

class DenseNet extends nn.Module {
  features: nn.Sequential;
  classifier: nn.Linear;
  constructor({
    growthRate = 4,
    blockConfig = [2, 2],
    numInitFeatures = 8,
    bnSize = 2,
    dropRate = 0.1,
    numClasses = 3,
  } = {}) {
    super();
    this.features = new nn.Sequential(
      new Map<string, nn.Module>([
        ["conv0", new nn.Conv2d(3, numInitFeatures, { kernelSize: 3, stride: 1, padding: 1, bias: false })],
        ["norm0", new nn.BatchNorm2d(numInitFeatures)],
        ["relu0", new nn.ReLU({ inplace: true })],
      ]),
    );
    let numFeatures = numInitFeatures;
    for (const [i, numLayers] of blockConfig.entries()) {
      this.features.addModule(
        `denseblock${i + 1}`,
        new _DenseBlock(numLayers, numFeatures, bnSize, growthRate, dropRate),
      );
      numFeatures = numFeatures + numLayers * growthRate;
      if (i !== blockConfig.length - 1) {
        this.features.addModule(
          `transition${i + 1}`,
          new _Transition(numFeatures, Math.floor(numFeatures / 2)),
        );
        numFeatures = Math.floor(numFeatures / 2);
      }
    }
    this.features.addModule("se", new SELayer(numFeatures));
    this.features.addModule("norm5", new nn.BatchNorm2d(numFeatures));
    this.classifier = new nn.Linear(numFeatures, numClasses);
    for (const m of this.modules()) {
      if (m instanceof nn.Conv2d) nn.init.kaimingNormal_(m.weight);
      else if (m instanceof nn.BatchNorm2d) {
        nn.init.constant_(m.weight!, 1);
        nn.init.constant_(m.bias!, 0);
      } else if (m instanceof nn.Linear && m.bias !== null) nn.init.constant_(m.bias, 0);
    }
  }
  forward(x: Tensor): Tensor {
    const features = this.features(x);
    let out = F.relu(features, { inplace: true });
    out = F.adaptiveAvgPool2d(out, [1, 1]);
    out = torch.flatten(out, 1);
    return this.classifier(out);
  }
}

const n = 36;
const y = torch.arange(n).remainder(3);
const x = torch.rand(n, 3, 8, 8).mul(0.5);
for (let i = 0; i < n; i++) x.index(i, y.index(i), "2:5", "3:6").add_(0.5);
const model = new DenseNet();
print(model);
const opt = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4 });

function fgsmAttack(image: Tensor, epsilon: number, dataGrad: Tensor) {
  const signDataGrad = dataGrad.sign();
  const perturbedImage = image.add(signDataGrad.mul(epsilon));
  return torch.clamp(perturbedImage, 0, 1);
}

function pgd(model: DenseNet, X: Tensor, y: Tensor, epsilon = 0.1, alpha = 0.03, numIter = 3) {
  const delta = torch.zerosLike(X).uniform_(-epsilon, epsilon);
  delta.requiresGrad = true;
  for (let t = 0; t < numIter; t++) {
    const loss = new nn.CrossEntropyLoss()(model(X.add(delta)), y);
    loss.backward();
    delta.data = delta.add(delta.grad!.detach().sign().mul(alpha)).clamp(-epsilon, epsilon);
    delta.data = torch.min(torch.max(delta.data, X.neg()), torch.sub(1, X));
    delta.grad!.zero_();
  }
  return delta.detach();
}

let loss: Tensor;
for (let epoch = 0; epoch < 2; epoch++) {
  for (const idx of torch.randperm(n).split(12)) {
    const delta = pgd(model, x.index(idx), y.index(idx), 0.05);
    opt.zeroGrad();
    loss = F.crossEntropy(model(x.index(idx).add(delta)), y.index(idx));
    loss.backward();
    opt.step();
    losses.push(loss.item());
    losses.push(delta.abs().mean().item());
  }
}

model.eval();
for (const p of model.parameters()) p.requiresGrad_(false);
const data = x.index(":6").clone().requiresGrad_(true);
const out = model(data);
loss = F.nllLoss(F.logSoftmax(out, 1), y.index(":6"));
model.zeroGrad();
loss.backward();
const adv = fgsmAttack(data, 0.1, data.grad!.data);
losses.push(F.crossEntropy(model(adv), y.index(":6")).item());
checks["saliency"] = data.grad!.abs().amax({ dim: 1 }).flatten(1).sum(1).tolist() as number[];
for (const p of model.parameters()) p.requiresGrad = true;

class GradCAM {
  gradients!: Tensor;
  activations!: Tensor;
  handles;
  constructor(
    public model: DenseNet,
    targetLayer: nn.Module,
  ) {
    this.handles = [
      targetLayer.registerForwardHook((module, input, output) =>
        this.saveActivation(module, input, output as Tensor),
      ),
      targetLayer.registerFullBackwardHook((_module, _gradInput, gradOutput) =>
        this.saveGradient(gradOutput),
      ),
    ];
  }
  saveActivation(_module: nn.Module, _input: unknown, output: Tensor) {
    this.activations = output;
  }
  saveGradient(gradOutput: readonly (Tensor | null)[]) {
    this.gradients = gradOutput[0]!;
  }
  call(x: Tensor, classIdx: Tensor | null = null): [Tensor, Tensor] {
    const logits = this.model(x);
    if (classIdx === null) classIdx = logits.argmax({ dim: 1 });
    const score = logits.index(torch.arange(x.size(0)), classIdx).sum();
    this.model.zeroGrad();
    score.backward({ retainGraph: true });
    const weights = this.gradients.mean({ dim: [2, 3], keepdim: true });
    let cam = F.relu(weights.mul(this.activations).sum(1, { keepdim: true }));
    cam = F.interpolate(cam, x.shape.slice(2), { mode: "bilinear", alignCorners: false });
    const [lo, hi] = [cam.flatten(1).min(1)[0], cam.flatten(1).max(1).values];
    return [cam.sub(lo.view(-1, 1, 1, 1)).div(hi.sub(lo).add(1e-7).view(-1, 1, 1, 1)), logits];
  }
  remove() {
    for (const h of this.handles) h.remove();
  }
}

const cam = new GradCAM(model, model.features.getSubmodule("se"));
const [maps] = cam.call(x.index(":4"));
print(maps.shape, maps.requiresGrad, cam.gradients.shape);
checks["cam"] = maps.mean([1, 2, 3]).tolist() as number[];
cam.remove();
const feats: Record<string, number> = {};
const hook = model.features[0].registerForwardPreHook((_m, inp) => [(inp[0] as Tensor).mul(2.0)]);
for (const [name, module] of model.namedChildren())
  module.registerForwardHook((_m, _i, o) => {
    feats[name] = (o as Tensor).detach().mean().item();
  });
const ig = torch.zerosLike(x.index(":2"));
for (const a of torch.linspace(0, 1, 5)) {
  const xi = a.mul(x.index(":2")).requiresGrad_();
  model(xi).gather(1, y.index(":2", null)).sum().backward();
  ig.add_(xi.grad!.div(5));
}
checks["ig"] = ig.mul(x.index(":2")).sum([1, 2, 3]).tolist() as number[];
hook.remove();
print(Object.keys(feats).sort());
checks["feats"] = [feats["features"], feats["classifier"]];
