/** WaveGlow (Prenger et al., 2019): affine couplings of groups of samples, mixed by invertible 1x1 convolutions. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

const { weightNorm, removeWeightNorm } = nn.utils;

torch.manualSeed(9);
export const losses: number[] = [];
const [MEL, FLOWS, GROUP, EARLY_EVERY, EARLY_SIZE, LAYERS, CHANNELS] = [6, 4, 8, 2, 2, 2, 12];
const [SEGMENT, HOP, BATCH, ITERATIONS, SIGMA] = [64, 8, 4, 20, 0.8];

function fusedAddTanhSigmoidMultiply(inputA: Tensor, inputB: Tensor, nChannels: Tensor): Tensor {
  const n = nChannels.index(0).item();
  const inAct = inputA.add(inputB);
  const tAct = torch.tanh(inAct.index(":", `:${n}`, ":"));
  const sAct = torch.sigmoid(inAct.index(":", `${n}:`, ":"));
  return tAct.mul(sAct);
}

class Invertible1x1Conv extends nn.Module {
  conv: nn.Conv1d;
  W_inverse?: Tensor;

  constructor(c: number) {
    super();
    this.conv = new nn.Conv1d(c, c, { kernelSize: 1, stride: 1, padding: 0, bias: false });
    let W = torch.linalg.qr(torch.FloatTensor(c, c).normal_())[0];
    if (torch.det(W).item() < 0) W.indexPut_([":", 0], W.index(":", 0).mul(-1));
    W = W.view(c, c, 1);
    this.conv.weight.data = W;
  }

  forward(z: Tensor): [Tensor, Tensor] {
    const [batchSize, , nOfGroups] = z.size();
    const W = this.conv.weight.squeeze();
    const logDetW = torch.logdet(W).mul(batchSize * nOfGroups);
    return [this.conv(z), logDetW];
  }

  reverse(z: Tensor): Tensor {
    const W = this.conv.weight.squeeze();
    this.W_inverse ??= W.float().inverse().index("...", null).detach();
    return F.conv1d(z, this.W_inverse, { bias: null, stride: 1, padding: 0 });
  }
}

class WN extends nn.Module {
  nLayers: number;
  nChannels: number;
  in_layers: nn.ModuleList<nn.Conv1d>;
  res_skip_layers: nn.ModuleList<nn.Conv1d>;
  start: nn.Conv1d;
  end: nn.Conv1d;
  cond_layer: nn.Conv1d;

  constructor(
    nInChannels: number,
    nMelChannels: number,
    nLayers: number,
    nChannels: number,
    kernelSize: number,
  ) {
    super();
    [this.nLayers, this.nChannels] = [nLayers, nChannels];
    this.in_layers = new nn.ModuleList();
    this.res_skip_layers = new nn.ModuleList();
    this.start = weightNorm(new nn.Conv1d(nInChannels, nChannels, 1), { name: "weight" });
    const end = new nn.Conv1d(nChannels, 2 * nInChannels, 1);
    end.weight.data.normal_({ std: 0.01 });
    end.bias!.data.zero_();
    this.end = end;
    this.cond_layer = weightNorm(new nn.Conv1d(nMelChannels, 2 * nChannels * nLayers, 1), { name: "weight" });
    for (let i = 0; i < nLayers; i++) {
      const dilation = 2 ** i;
      const padding = Math.trunc((kernelSize * dilation - dilation) / 2);
      const inLayer = new nn.Conv1d(nChannels, 2 * nChannels, kernelSize, { dilation, padding });
      this.in_layers.append(weightNorm(inLayer, { name: "weight" }));
      const resSkipChannels = i < nLayers - 1 ? 2 * nChannels : nChannels;
      this.res_skip_layers.append(
        weightNorm(new nn.Conv1d(nChannels, resSkipChannels, 1), { name: "weight" }),
      );
    }
  }

  forward([audio, spect]: [Tensor, Tensor]): Tensor {
    audio = this.start(audio);
    let output = torch.zerosLike(audio);
    const nChannelsTensor = torch.LongTensor([this.nChannels]);
    spect = this.cond_layer(spect);
    for (let i = 0; i < this.nLayers; i++) {
      const offset = i * 2 * this.nChannels;
      const acts = fusedAddTanhSigmoidMultiply(
        this.in_layers[i](audio),
        spect.index(":", `${offset}:${offset + 2 * this.nChannels}`, ":"),
        nChannelsTensor,
      );
      const resSkipActs = this.res_skip_layers[i](acts);
      if (i < this.nLayers - 1) {
        audio = audio.add(resSkipActs.index(":", `:${this.nChannels}`, ":"));
        output = output.add(resSkipActs.index(":", `${this.nChannels}:`, ":"));
      } else output = output.add(resSkipActs);
    }
    return this.end(output);
  }
}

class WaveGlow extends nn.Module {
  upsample: nn.ConvTranspose1d;
  WN: nn.ModuleList<WN>;
  convinv: nn.ModuleList<Invertible1x1Conv>;
  nRemainingChannels: number;

  constructor() {
    super();
    this.upsample = new nn.ConvTranspose1d(MEL, MEL, 2 * HOP, { stride: HOP });
    this.WN = new nn.ModuleList();
    this.convinv = new nn.ModuleList();
    let nHalf = Math.floor(GROUP / 2);
    let nRemainingChannels = GROUP;
    for (let k = 0; k < FLOWS; k++) {
      if (k % EARLY_EVERY === 0 && k > 0) {
        nHalf -= Math.floor(EARLY_SIZE / 2);
        nRemainingChannels -= EARLY_SIZE;
      }
      this.convinv.append(new Invertible1x1Conv(nRemainingChannels));
      this.WN.append(new WN(nHalf, MEL * GROUP, LAYERS, CHANNELS, 3));
    }
    this.nRemainingChannels = nRemainingChannels;
  }

  groups(spect: Tensor, length: number): Tensor {
    spect = this.upsample(spect).index(":", ":", `:${length}`);
    spect = spect.unfold(2, GROUP, GROUP).permute(0, 2, 1, 3);
    return spect.contiguous().view(spect.size(0), spect.size(1), -1).permute(0, 2, 1);
  }

  forward(spect: Tensor, audio: Tensor): [Tensor, Tensor[], Tensor[]] {
    spect = this.groups(spect, audio.size(1));
    audio = audio.unfold(1, GROUP, GROUP).permute(0, 2, 1);
    const outputAudio: Tensor[] = [];
    const logSList: Tensor[] = [];
    const logDetWList: Tensor[] = [];
    for (let k = 0; k < FLOWS; k++) {
      if (k % EARLY_EVERY === 0 && k > 0) {
        outputAudio.push(audio.index(":", `:${EARLY_SIZE}`, ":"));
        audio = audio.index(":", `${EARLY_SIZE}:`, ":");
      }
      let logDetW: Tensor;
      [audio, logDetW] = this.convinv[k](audio);
      logDetWList.push(logDetW);
      const nHalf = Math.trunc(audio.size(1) / 2);
      const audio0 = audio.index(":", `:${nHalf}`, ":");
      let audio1 = audio.index(":", `${nHalf}:`, ":");
      const output = this.WN[k]([audio0, spect]);
      const logS = output.index(":", `${nHalf}:`, ":");
      const b = output.index(":", `:${nHalf}`, ":");
      audio1 = torch.exp(logS).mul(audio1).add(b);
      logSList.push(logS);
      audio = torch.cat([audio0, audio1], 1);
    }
    outputAudio.push(audio);
    return [torch.cat(outputAudio, 1), logSList, logDetWList];
  }

  infer(spect: Tensor, z: Tensor): Tensor {
    spect = this.groups(spect, z.size(1) * z.size(2));
    let audio = z.index(":", `${-this.nRemainingChannels}:`);
    let early = z.index(":", `:${-this.nRemainingChannels}`);
    for (let k = FLOWS - 1; k >= 0; k--) {
      const nHalf = Math.floor(audio.size(1) / 2);
      const audio0 = audio.index(":", `:${nHalf}`, ":");
      let audio1 = audio.index(":", `${nHalf}:`, ":");
      const output = this.WN[k]([audio0, spect]);
      const [s, b] = [output.index(":", `${nHalf}:`, ":"), output.index(":", `:${nHalf}`, ":")];
      audio1 = audio1.sub(b).div(torch.exp(s));
      audio = this.convinv[k].reverse(torch.cat([audio0, audio1], 1));
      if (k % EARLY_EVERY === 0 && k > 0) {
        audio = torch.cat([early.index(":", `${-EARLY_SIZE}:`), audio], 1);
        early = early.index(":", `:${-EARLY_SIZE}`);
      }
    }
    return audio.permute(0, 2, 1).contiguous().view(audio.size(0), -1).data;
  }

  static removeWeightnorm(model: WaveGlow): WaveGlow {
    for (const wn of model.WN) {
      wn.start = removeWeightNorm(wn.start);
      wn.in_layers = remove(wn.in_layers);
      wn.cond_layer = removeWeightNorm(wn.cond_layer);
      wn.res_skip_layers = remove(wn.res_skip_layers);
    }
    return model;
  }
}

function remove(convList: nn.ModuleList<nn.Conv1d>): nn.ModuleList<nn.Conv1d> {
  return new nn.ModuleList([...convList].map((oldConv) => removeWeightNorm(oldConv)));
}

class WaveGlowLoss extends nn.Module {
  sigma: number;

  constructor({ sigma = 1.0 } = {}) {
    super();
    this.sigma = sigma;
  }

  forward([z, logSList, logDetWList]: [Tensor, Tensor[], Tensor[]]): Tensor {
    let logSTotal!: Tensor;
    let logDetWTotal!: Tensor;
    for (const [i, logS] of logSList.entries())
      if (i === 0) {
        logSTotal = torch.sum(logS);
        logDetWTotal = logDetWList[i]!;
      } else {
        logSTotal = logSTotal.add(torch.sum(logS));
        logDetWTotal.add_(logDetWList[i]);
      }
    const loss = torch
      .sum(z.mul(z))
      .div(2 * this.sigma * this.sigma)
      .sub(logSTotal)
      .sub(logDetWTotal);
    return loss.div(z.size(0) * z.size(1) * z.size(2));
  }
}

function batch(): [Tensor, Tensor] {
  const t = torch.arange(SEGMENT).div(SEGMENT);
  const pitch = torch.rand(BATCH, 1).mul(4).add(2);
  const audio = torch
    .sin(pitch.mul(2 * torch.pi).mul(t))
    .mul(0.5)
    .add(torch.randn(BATCH, SEGMENT).mul(0.05));
  const window = torch.hannWindow(2 * HOP, { periodic: true });
  const frames = F.pad(audio, [HOP, HOP], { mode: "constant" })
    .unfold(1, 2 * HOP, HOP)
    .mul(window);
  const basis = torch.cos(
    torch
      .outer(torch.arange(2 * HOP), torch.arange(MEL))
      .mul(torch.pi)
      .div(2 * HOP),
  );
  return [torch.log(torch.clamp(frames.matmul(basis).abs(), { min: 1e-3 })).transpose(1, 2), audio];
}

let model = new WaveGlow();
print(model.WN[0]);
const criterion = new WaveGlowLoss({ sigma: SIGMA });
const optimizer = new optim.Adam(model.parameters(), { lr: 2e-3 });
for (let iteration = 0; iteration < ITERATIONS; iteration++) {
  model.zeroGrad();
  const [mel, audio] = batch();
  const loss = criterion(model(mel, audio));
  losses.push(loss.item());
  loss.backward();
  optimizer.step();
}
const startNames = () => [...model.stateDict().keys()].filter((k) => k.startsWith("WN.0.start")).sort();
print(startNames());
model = WaveGlow.removeWeightnorm(model);
model.eval();
print(startNames());
const [z, again, audio] = torch.noGrad(() => {
  const [mel, audio] = batch();
  const [z] = model(mel, audio);
  return [z, model.infer(mel, z), audio];
});
print("inverted:", torch.allclose(again, audio, { atol: 1e-3 }));
export const checks = { z: z.flatten().index(":20").tolist() as number[] };
