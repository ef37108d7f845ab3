/** Super-resolution with an efficient sub-pixel convolutional network (Shi et al., 2016), on drawn patterns. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(7);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const UPSCALE = 3;
const [N, SIZE, BATCH, EPOCHS] = [24, 24, 8, 5];

class Net extends nn.Module {
  relu: nn.ReLU;
  conv1: nn.Conv2d;
  conv2: nn.Conv2d;
  conv3: nn.Conv2d;
  conv4: nn.Conv2d;
  pixel_shuffle: nn.PixelShuffle;

  constructor(upscaleFactor: number) {
    super();
    this.relu = new nn.ReLU();
    this.conv1 = new nn.Conv2d(1, 32, [5, 5], [1, 1], [2, 2]);
    this.conv2 = new nn.Conv2d(32, 32, [3, 3], [1, 1], [1, 1]);
    this.conv3 = new nn.Conv2d(32, 16, [3, 3], [1, 1], [1, 1]);
    this.conv4 = new nn.Conv2d(16, upscaleFactor ** 2, [3, 3], [1, 1], [1, 1]);
    this.pixel_shuffle = new nn.PixelShuffle(upscaleFactor);
    this.initializeWeights();
  }

  forward(x: Tensor): Tensor {
    x = this.relu(this.conv1(x));
    x = this.relu(this.conv2(x));
    x = this.relu(this.conv3(x));
    x = this.pixel_shuffle(this.conv4(x));
    return x;
  }

  private initializeWeights(): void {
    nn.init.orthogonal_(this.conv1.weight, nn.init.calculateGain("relu"));
    nn.init.orthogonal_(this.conv2.weight, nn.init.calculateGain("relu"));
    nn.init.orthogonal_(this.conv3.weight, nn.init.calculateGain("relu"));
    nn.init.orthogonal_(this.conv4.weight);
  }
}

/** Waves of random direction and length. */
function pictures(n: number, size: number): Tensor {
  const grid = torch.linspace(-1, 1, size);
  const [ys, xs] = torch.meshgrid(grid, grid, { indexing: "ij" });
  const angle = torch.rand(n, 1, 1).mul(3.14159);
  const frequency = torch.rand(n, 1, 1).mul(4).add(1);
  const wave = torch.sin(frequency.mul(xs.mul(torch.cos(angle)).add(ys.mul(torch.sin(angle)))));
  return wave.mul(0.5).add(0.5).unsqueeze(1);
}

const target = pictures(N, SIZE);
const small = F.avgPool2d(target, UPSCALE);
const model = new Net(UPSCALE);
print(model);
const criterion = new nn.MSELoss();
const optimizer = new optim.Adam(model.parameters(), { lr: 0.003 });

for (let epoch = 1; epoch <= EPOCHS; epoch++) {
  let epochLoss = 0;
  for (let start = 0; start < small.size(0); start += BATCH) {
    const [x, y] = [small.index(`${start}:${start + BATCH}`), target.index(`${start}:${start + BATCH}`)];
    optimizer.zeroGrad();
    const loss = criterion(model(x), y);
    epochLoss += loss.item();
    losses.push(loss.item());
    loss.backward();
    optimizer.step();
  }
  print(`===> Epoch ${epoch} Complete: Avg. Loss: ${format(epochLoss / (N / BATCH), ".3f")}`);
}

torch.noGrad(() => {
  const prediction = model(small);
  const mse = criterion(prediction, target);
  const psnr = torch.log10(torch.div(1, mse)).mul(10);
  checks["psnr"] = [psnr.item()];
  print("shape", `(${prediction.shape.join(", ")})`);
});
