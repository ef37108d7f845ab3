/** ResNet-18 (He et al., 2016) for small pictures, with SGD, Nesterov momentum and a cosine schedule. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(0);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [WIDTH, N, SIZE, BATCH, EPOCHS] = [4, 32, 16, 16, 3];

class BasicBlock extends nn.Module {
  static expansion = 1;
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  shortcut: nn.Sequential;

  constructor(inPlanes: number, planes: number, stride = 1) {
    super();
    this.conv1 = new nn.Conv2d(inPlanes, planes, { kernelSize: 3, stride, padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(planes);
    this.conv2 = new nn.Conv2d(planes, planes, { kernelSize: 3, stride: 1, padding: 1, bias: false });
    this.bn2 = new nn.BatchNorm2d(planes);
    this.shortcut = new nn.Sequential();
    if (stride !== 1 || inPlanes !== BasicBlock.expansion * planes) {
      this.shortcut = new nn.Sequential(
        new nn.Conv2d(inPlanes, BasicBlock.expansion * planes, { kernelSize: 1, stride, bias: false }),
        new nn.BatchNorm2d(BasicBlock.expansion * planes),
      );
    }
  }

  forward(x: Tensor): Tensor {
    let out = F.relu(this.bn1(this.conv1(x)));
    out = this.bn2(this.conv2(out));
    out.add_(this.shortcut(x));
    out = F.relu(out);
    return out;
  }
}

class ResNet extends nn.Module {
  inPlanes: number;
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  layer1: nn.Sequential;
  layer2: nn.Sequential;
  layer3: nn.Sequential;
  layer4: nn.Sequential;
  linear: nn.Linear;

  constructor(
    block: typeof BasicBlock,
    numBlocks: readonly [number, number, number, number],
    width = WIDTH,
    numClasses = 4,
  ) {
    super();
    this.inPlanes = width;
    this.conv1 = new nn.Conv2d(3, width, { kernelSize: 3, stride: 1, padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(width);
    this.layer1 = this.makeLayer(block, width, numBlocks[0], 1);
    this.layer2 = this.makeLayer(block, width * 2, numBlocks[1], 2);
    this.layer3 = this.makeLayer(block, width * 4, numBlocks[2], 2);
    this.layer4 = this.makeLayer(block, width * 8, numBlocks[3], 2);
    this.linear = new nn.Linear(width * 8 * block.expansion, numClasses);
  }

  private makeLayer(
    block: typeof BasicBlock,
    planes: number,
    numBlocks: number,
    stride: number,
  ): nn.Sequential {
    const strides = [stride, ...Array<number>(numBlocks - 1).fill(1)];
    const layers: nn.Module[] = [];
    for (const stride of strides) {
      layers.push(new block(this.inPlanes, planes, stride));
      this.inPlanes = planes * block.expansion;
    }
    return new nn.Sequential(...layers);
  }

  forward(x: Tensor): Tensor {
    let out = F.relu(this.bn1(this.conv1(x)));
    out = this.layer1(out);
    out = this.layer2(out);
    out = this.layer3(out);
    out = this.layer4(out);
    out = F.adaptiveAvgPool2d(out, 1);
    out = out.view(out.size(0), -1);
    return this.linear(out);
  }
}

const ResNet18 = (): ResNet => new ResNet(BasicBlock, [2, 2, 2, 2]);

const labels = torch.arange(N).remainder(4);
const shade = torch.tensor([
  [0.8, 0.2, 0.2],
  [0.2, 0.8, 0.2],
  [0.2, 0.2, 0.8],
  [0.6, 0.6, 0.2],
]);
const images = shade
  .index(labels)
  .index(":", ":", null, null)
  .add(torch.randn(N, 3, SIZE, SIZE).mul(0.4));
const net = ResNet18();
print(net);
const criterion = new nn.CrossEntropyLoss({ labelSmoothing: 0.1 });
const optimizer = new optim.SGD(net.parameters(), {
  lr: 0.02,
  momentum: 0.9,
  weightDecay: 5e-4,
  nesterov: true,
});
const scheduler = new optim.lrScheduler.CosineAnnealingLR(optimizer, { tMax: EPOCHS });
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  net.train();
  let [correct, total] = [0, 0];
  for (const batch of torch.randperm(N).split(BATCH)) {
    const [inputs, targets] = [images.index(batch), labels.index(batch)];
    optimizer.zeroGrad();
    const outputs = net(inputs);
    const loss = criterion(outputs, targets);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
    const { indices: predicted } = outputs.max(1);
    total += targets.size(0);
    correct += predicted.eq(targets).sum().item();
  }
  scheduler.step();
  print(`epoch ${epoch} lr ${format(scheduler.getLastLr()[0], ".5f")} total ${total}`);
}
net.eval();
torch.noGrad(() => {
  checks["logits"] = net(images.index(":2")).flatten().tolist() as number[];
});
checks["running"] = [
  ...(net.bn1.runningMean!.tolist() as number[]),
  ...(net.bn1.runningVar!.tolist() as number[]),
];
