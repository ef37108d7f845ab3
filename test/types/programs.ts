// Code of ported PyTorch programs, which must compile. The type check compiles this folder; nothing runs it.
import { torch, nn, F, optim, data, format, slice, type Tensor } from "layerwise";

declare const x: Tensor;
declare const useLstm: boolean;

export class Conv extends nn.Module {
  conv = new nn.Conv2d(3, 8, { kernelSize: 3 });
  again = new nn.Conv2d({ inChannels: 3, outChannels: 8, kernelSize: 3, device: "cpu" });
  fc = new nn.Linear({ inFeatures: 4, outFeatures: 2 });
  rnn: nn.LSTM | nn.GRU = useLstm ? new nn.LSTM(4, 8) : new nn.GRU(4, 8);
  norm = new nn.BatchNorm2d(8, { eps: 1e-3 });

  override train(mode = true): this {
    super.train(mode);
    this.norm.eval();
    return this;
  }

  forward(input: Tensor): Tensor {
    const y = F.dropout(F.relu(this.conv(input)), 0.5, { training: this.training });
    const [out] = this.rnn(F.dropout(y, 0.5, this.training));
    return this.fc(out);
  }
}

/** A subclass whose forward takes other arguments. */
export class Masked extends Conv {
  // @ts-expect-error -- a class can't be told apart from its parent by its arguments alone
  override forward(input: Tensor, mask: Tensor): Tensor {
    return super.forward(input).mul(mask);
  }
}

/** A module that only holds others. */
export class Holder extends nn.Module {
  parts = new nn.ModuleList([new nn.Linear(2, 2)]);
}

const loss: Tensor = x.sum();
export const text: string = loss.item().toFixed(4) + format(loss.item(), ".4f");
export const chosen: string = x.gt(0).any().item() ? "some" : "none";
export const found: boolean = x.gt(0).any().item();

export const steps: Tensor = torch.arange(0, x.shape[0]!, { device: x.device });
export const best = x.topk(2, 1, true).values;
export const parts: Tensor[] = x.chunk({ chunks: 2, dim: 0 });
export const rows: Tensor = x.index([3, 5]).index("1:", slice(0, 2), [true, false]);
export const grid: Tensor[] = torch.meshgrid(x, x, { indexing: "ij" });
export const sizes: Tensor[] = [
  torch.zeros(2, 3),
  torch.zeros([2, 3], { dtype: torch.int64 }),
  torch.empty({ size: [2, 3] }),
  x.newZeros(2, 3),
  x.newFull([2, 3], 1),
  torch.randint(5, { size: [2] }),
  torch.randint(0, 5, [2]),
  x.view({ size: [2, 3] }),
  torch.multinomial(x, { numSamples: 1 }),
  torch.add(2, x),
  torch.sub(1, x).mul(2),
];

export function epochs(set: data.Dataset<[Tensor, Tensor]>, model: Conv): void {
  const loader: data.DataLoader = new data.DataLoader(set, { batchSize: 4, shuffle: true });
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  void new optim.Adam(model.parameters(), 2e-3, [0, 0.9]);
  void new optim.RMSprop(model.parameters(), 1e-2, 0.9, { momentum: 0.5 });
  for (const [inputs, targets] of new data.DataLoader(set, { batchSize: 4 })) {
    optimizer.zeroGrad();
    F.crossEntropy(model(inputs), targets).backward();
    optimizer.step();
  }
  void loader;
}

/** Layers gathered in a list, as many constructors do, and the uses of their Sequential. */
export class Gathered extends nn.Module {
  layers: nn.Sequential;
  typed = new nn.Sequential(new nn.Linear(4, 4), new nn.LSTM(4, 2));

  constructor() {
    super();
    const layers: nn.Module[] = [];
    for (let i = 0; i < 2; i++) layers.push(new nn.Linear(4, 4), new nn.ReLU());
    this.layers = new nn.Sequential(...layers);
  }

  forward(x: Tensor): Tensor {
    const [y, [h]] = this.typed(this.layers(x));
    return y.add(h.sum()).add(this.layers.get(0)(x));
  }
}

// @ts-expect-error -- no such keyword
x.topk({ k: 2, largestt: true });
// @ts-expect-error -- no such keyword
torch.sum(x, { dims: 1 });
// @ts-expect-error -- two betas
void new optim.Adam([], 2e-3, [0, 0.9, 1]);
// @ts-expect-error -- takes the input alone
torch.relu(x, 2);
// @ts-expect-error -- k is required
torch.topk({ input: x });
// @ts-expect-error -- outFeatures is required
void new nn.Linear({ inFeatures: 4 });
// @ts-expect-error -- no such option
void new nn.Conv2d(3, 8, { kernelSize: 3, pading: 1 });
// @ts-expect-error -- p is a number
F.dropout(x, "0.5");

/** A type kept in an object or a field stays a type, and isn't any text. */
const options = { dtype: torch.float32 };
export const kept = [torch.zeros(2, options), torch.tensor([1], { ...options }), x.to(options.dtype)];
export class Typed {
  dtype = torch.long;
  labels = torch.zeros([2], { dtype: this.dtype });
}
