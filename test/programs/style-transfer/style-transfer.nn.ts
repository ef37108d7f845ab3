/** Fast neural style: a transformer network with instance normalisation, trained by features and Gram matrices. */
import { F, format, nn, print, torch, optim, type Tensor } from "layerwise";

torch.manualSeed(21);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, SIZE, BATCH, EPOCHS] = [12, 16, 4, 4];

class ConvLayer extends nn.Module {
  reflection_pad: nn.ReflectionPad2d;
  conv2d: nn.Conv2d;

  constructor(
    inChannels: number,
    outChannels: number,
    { kernelSize, stride }: { kernelSize: number; stride: number },
  ) {
    super();
    this.reflection_pad = new nn.ReflectionPad2d(Math.floor(kernelSize / 2));
    this.conv2d = new nn.Conv2d(inChannels, outChannels, kernelSize, stride);
  }

  forward(x: Tensor): Tensor {
    return this.conv2d(this.reflection_pad(x));
  }
}

class ResidualBlock extends nn.Module {
  conv1: ConvLayer;
  in1: nn.InstanceNorm2d;
  conv2: ConvLayer;
  in2: nn.InstanceNorm2d;
  relu: nn.ReLU;

  constructor(channels: number) {
    super();
    this.conv1 = new ConvLayer(channels, channels, { kernelSize: 3, stride: 1 });
    this.in1 = new nn.InstanceNorm2d(channels, { affine: true });
    this.conv2 = new ConvLayer(channels, channels, { kernelSize: 3, stride: 1 });
    this.in2 = new nn.InstanceNorm2d(channels, { affine: true });
    this.relu = new nn.ReLU();
  }

  forward(x: Tensor): Tensor {
    const residual = x;
    let out = this.relu(this.in1(this.conv1(x)));
    out = this.in2(this.conv2(out));
    return out.add(residual);
  }
}

class UpsampleConvLayer extends nn.Module {
  upsample: number | null;
  reflection_pad: nn.ReflectionPad2d;
  conv2d: nn.Conv2d;

  constructor(
    inChannels: number,
    outChannels: number,
    { kernelSize, stride, upsample = null }: { kernelSize: number; stride: number; upsample?: number | null },
  ) {
    super();
    this.upsample = upsample;
    this.reflection_pad = new nn.ReflectionPad2d(Math.floor(kernelSize / 2));
    this.conv2d = new nn.Conv2d(inChannels, outChannels, kernelSize, stride);
  }

  forward(x: Tensor): Tensor {
    if (this.upsample) x = F.interpolate(x, { mode: "nearest", scaleFactor: this.upsample });
    return this.conv2d(this.reflection_pad(x));
  }
}

class TransformerNet extends nn.Module {
  conv1 = new ConvLayer(3, 8, { kernelSize: 9, stride: 1 });
  in1 = new nn.InstanceNorm2d(8, { affine: true });
  conv2 = new ConvLayer(8, 16, { kernelSize: 3, stride: 2 });
  in2 = new nn.InstanceNorm2d(16, { affine: true });
  res1 = new ResidualBlock(16);
  res2 = new ResidualBlock(16);
  deconv1 = new UpsampleConvLayer(16, 8, { kernelSize: 3, stride: 1, upsample: 2 });
  in4 = new nn.InstanceNorm2d(8, { affine: true });
  deconv2 = new ConvLayer(8, 3, { kernelSize: 9, stride: 1 });
  relu = new nn.ReLU();

  forward(X: Tensor): Tensor {
    let y = this.relu(this.in1(this.conv1(X)));
    y = this.relu(this.in2(this.conv2(y)));
    y = this.res2(this.res1(y));
    y = this.relu(this.in4(this.deconv1(y)));
    return this.deconv2(y);
  }
}

/** Stands for VGG-16: frozen layers, whose values at three depths are compared. */
class Features extends nn.Module {
  slice1 = new nn.Sequential(new nn.Conv2d(3, 8, 3, { padding: 1 }), new nn.ReLU());
  slice2 = new nn.Sequential(new nn.MaxPool2d(2), new nn.Conv2d(8, 16, 3, { padding: 1 }), new nn.ReLU());
  slice3 = new nn.Sequential(new nn.MaxPool2d(2), new nn.Conv2d(16, 16, 3, { padding: 1 }), new nn.ReLU());

  constructor() {
    super();
    for (const param of this.parameters()) param.requiresGrad = false;
  }

  forward(x: Tensor): Tensor[] {
    const relu1 = this.slice1(x);
    const relu2 = this.slice2(relu1);
    const relu3 = this.slice3(relu2);
    return [relu1, relu2, relu3];
  }
}

function gramMatrix(y: Tensor): Tensor {
  const [b, ch, h, w] = y.size() as [number, number, number, number];
  const features = y.view(b, ch, w * h);
  const featuresT = features.transpose(1, 2);
  return features.bmm(featuresT).div(ch * h * w);
}

const content = torch.rand(N, 3, SIZE, SIZE);
const style = torch.rand(1, 3, SIZE, SIZE).repeat(BATCH, 1, 1, 1);
const transformer = new TransformerNet();
const vgg = new Features();
const optimizer = new optim.Adam(transformer.parameters(), { lr: 1e-3 });
const mseLoss = new nn.MSELoss();
const featuresStyle = vgg(style);
const gramStyle = featuresStyle.map((y) => gramMatrix(y));
for (let e = 0; e < EPOCHS; e++) {
  transformer.train();
  let aggContentLoss = 0;
  let aggStyleLoss = 0;
  for (const x of content.split(BATCH)) {
    const nBatch = x.size(0);
    optimizer.zeroGrad();
    const y = transformer(x);
    const featuresY = vgg(y);
    const featuresX = vgg(x);
    const contentLoss = mseLoss(featuresY[1], featuresX[1]).mul(10);
    let styleLoss = torch.tensor(0.0);
    featuresY.forEach((ftY, i) => {
      const gmY = gramMatrix(ftY);
      styleLoss = styleLoss.add(mseLoss(gmY, gramStyle[i].index(`:${nBatch}`, ":", ":")));
    });
    styleLoss = styleLoss.mul(1e3);
    const totalLoss = contentLoss.add(styleLoss);
    totalLoss.backward();
    optimizer.step();
    aggContentLoss += contentLoss.item();
    aggStyleLoss += styleLoss.item();
    losses.push(totalLoss.item());
  }
  print(
    `Epoch ${e + 1}:\tcontent: ${format(aggContentLoss / (N / BATCH), ".2f")}\tstyle: ${format(aggStyleLoss / (N / BATCH), ".2f")}`,
  );
}
const count = (model: nn.Module, trained: boolean): number =>
  [...model.parameters()].filter((p) => p.requiresGrad === trained).reduce((sum, p) => sum + p.numel(), 0);
print(`${format(count(transformer, true), ",")} trained, ${format(count(vgg, false), ",")} frozen`);
checks["pixels"] = transformer(content.index(":1")).index(0, 0, 0, ":4").tolist() as number[];
