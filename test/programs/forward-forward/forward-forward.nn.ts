/** The forward-forward algorithm (Hinton, 2022): each layer has a goal of its own, no gradient passes between layers. */
import { nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(1234);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, FEATURES, HIDDEN, EPOCHS] = [60, 24, 40, 8];

function overlayYOnX(x: Tensor, y: Tensor | number, classes = 3): Tensor {
  const x_ = x.clone();
  x_.index(":", `:${classes}`).mul_(0.0);
  x_.indexPut_([torch.arange(x.shape[0]), y], x.max());
  return x_;
}

class Layer extends nn.Linear {
  relu: nn.ReLU;
  opt: optim.Adam;
  threshold = 1.0;
  numEpochs = EPOCHS;

  constructor(inFeatures: number, outFeatures: number) {
    super(inFeatures, outFeatures);
    this.relu = new nn.ReLU();
    this.opt = new optim.Adam(this.parameters(), { lr: 0.03 });
  }

  override forward(x: Tensor): Tensor {
    const xDirection = x.div(x.norm(2, 1, { keepdim: true }).add(1e-4));
    return this.relu(torch.mm(xDirection, this.weight.T).add(this.bias!.unsqueeze(0)));
  }

  trainLayer(xPos: Tensor, xNeg: Tensor): [Tensor, Tensor] {
    for (let i = 0; i < this.numEpochs; i++) {
      const gPos = this.forward(xPos).pow(2).mean(1);
      const gNeg = this.forward(xNeg).pow(2).mean(1);
      const loss = torch
        .log(torch.exp(torch.cat([gPos.neg().add(this.threshold), gNeg.sub(this.threshold)])).add(1))
        .mean();
      losses.push(loss.item());
      this.opt.zeroGrad();
      loss.backward();
      this.opt.step();
    }
    return [this.forward(xPos).detach(), this.forward(xNeg).detach()];
  }
}

class Net extends nn.Module {
  layers: Layer[] = [];

  constructor(dims: number[]) {
    super();
    for (let d = 0; d < dims.length - 1; d++) this.layers.push(new Layer(dims[d], dims[d + 1]));
  }

  predict(x: Tensor): Tensor {
    const goodnessPerLabel: Tensor[] = [];
    for (let label = 0; label < 3; label++) {
      let h = overlayYOnX(x, label);
      const goodness: Tensor[] = [];
      for (const layer of this.layers) {
        h = layer(h);
        goodness.push(h.pow(2).mean(1));
      }
      goodnessPerLabel.push(goodness.reduce((a, b) => a.add(b)).unsqueeze(1));
    }
    return torch.cat(goodnessPerLabel, 1).argmax(1);
  }

  trainNet(xPos: Tensor, xNeg: Tensor): void {
    let [hPos, hNeg] = [xPos, xNeg];
    this.layers.forEach((layer, i) => {
      print("training layer", i, "...");
      [hPos, hNeg] = layer.trainLayer(hPos, hNeg);
    });
    checks["hidden"] = hPos.index(0, ":6").tolist() as number[];
  }
}

const centres = torch.rand(3, FEATURES);
const y = torch.arange(N).remainder(3);
const x = centres.index(y).add(torch.randn(N, FEATURES).mul(0.1)).clamp(0, 1);
const net = new Net([FEATURES, HIDDEN, HIDDEN]);
const xPos = overlayYOnX(x, y);
const yNeg = y.add(torch.randint(1, 3, [N])).remainder(3);
const xNeg = overlayYOnX(x, yNeg);
net.trainNet(xPos, xNeg);
const predicted = net.predict(x);
print("train error:", Math.round((1.0 - predicted.eq(y).float().mean().item()) * 100) / 100);
