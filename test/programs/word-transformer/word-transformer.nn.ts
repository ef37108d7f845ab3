// A word-level Transformer language model: encoder layers with a causal mask and positions of sines and cosines
import { torch, nn, optim, format, print, type Tensor } from "layerwise";

torch.manualSeed(1);
export const losses: number[] = [];
const [batchSize, bptt, epochs] = [4, 7, 12];
const [emsize, nhead, dHid, nlayers] = [32, 2, 48, 2];

const TEXT = `
= A Day =

the sun rises over the hill and the farmer wakes .
the farmer feeds the cow and the cow gives milk .
the children walk to school over the hill .
at noon the sun is high and the farmer rests .
the children come home and drink the milk .
the sun sets and the cow sleeps .
the farmer sleeps and the children sleep .
`;

const tokenizer = (line: string): string[] => line.toLowerCase().split(/\s+/).filter(Boolean);

const vocab = new Map([["<unk>", 0]]);
for (const line of TEXT.split("\n"))
  for (const token of tokenizer(line)) if (!vocab.has(token)) vocab.set(token, vocab.size);

/** Converts raw text into a flat tensor. */
function dataProcess(lines: string[]): Tensor {
  const data = lines.map((line) =>
    torch.tensor(
      tokenizer(line).map((token) => vocab.get(token) ?? 0),
      { dtype: torch.long },
    ),
  );
  return torch.cat(data.filter((t) => t.numel() > 0));
}

function batchify(data: Tensor, bsz: number): Tensor {
  const seqLen = Math.floor(data.size(0) / bsz);
  data = data.index(`:${seqLen * bsz}`);
  data = data.view(bsz, seqLen).t().contiguous();
  return data;
}

const trainData = batchify(dataProcess(TEXT.split("\n")), batchSize);
const valData = batchify(dataProcess(["the farmer drinks the milk .", "the cow walks over the hill ."]), 2);

function getBatch(source: Tensor, i: number): [Tensor, Tensor] {
  const seqLen = Math.min(bptt, source.size(0) - 1 - i);
  const data = source.index(`${i}:${i + seqLen}`);
  const target = source.index(`${i + 1}:${i + 1 + seqLen}`).reshape(-1);
  return [data, target];
}

class PositionalEncoding extends nn.Module {
  dropout: nn.Dropout;
  declare pe: Tensor;

  constructor(dModel: number, dropout = 0.1, maxLen = 5000) {
    super();
    this.dropout = new nn.Dropout({ p: dropout });
    const position = torch.arange(maxLen).unsqueeze(1);
    const divTerm = torch.exp(torch.arange(0, dModel, 2).mul(-Math.log(10000.0) / dModel));
    const pe = torch.zeros(maxLen, 1, dModel);
    pe.indexPut_([":", 0, "0::2"], torch.sin(position.mul(divTerm)));
    pe.indexPut_([":", 0, "1::2"], torch.cos(position.mul(divTerm)));
    this.registerBuffer("pe", pe);
  }

  forward(x: Tensor): Tensor {
    x = x.add(this.pe.index(`:${x.size(0)}`));
    return this.dropout(x);
  }
}

class TransformerModel extends nn.Module {
  modelType = "Transformer";
  posEncoder: PositionalEncoding;
  transformerEncoder: nn.TransformerEncoder;
  embedding: nn.Embedding;
  dModel: number;
  linear: nn.Linear;

  constructor(ntoken: number, dModel: number, nhead: number, dHid: number, nlayers: number, dropout = 0.5) {
    super();
    this.posEncoder = new PositionalEncoding(dModel, dropout, 40);
    const encoderLayers = new nn.TransformerEncoderLayer(dModel, nhead, dHid, dropout);
    this.transformerEncoder = new nn.TransformerEncoder(encoderLayers, nlayers);
    this.embedding = new nn.Embedding(ntoken, dModel);
    this.dModel = dModel;
    this.linear = new nn.Linear(dModel, ntoken);
    this.initWeights();
  }

  initWeights(): void {
    const initrange = 0.1;
    this.embedding.weight.data.uniform_(-initrange, initrange);
    this.linear.bias!.data.zero_();
    this.linear.weight.data.uniform_(-initrange, initrange);
  }

  forward(src: Tensor, srcMask: Tensor | null = null): Tensor {
    src = this.embedding(src).mul(Math.sqrt(this.dModel));
    src = this.posEncoder(src);
    if (srcMask === null) srcMask = nn.Transformer.generateSquareSubsequentMask(src.size(0));
    const output = this.transformerEncoder(src, srcMask);
    return this.linear(output);
  }
}

const ntokens = vocab.size;
const model = new TransformerModel(ntokens, emsize, nhead, dHid, nlayers, 0.2);

const criterion = new nn.CrossEntropyLoss();
const lr = 0.5;
const optimizer = new optim.SGD(model.parameters(), { lr });
const scheduler = new optim.lrScheduler.StepLR(optimizer, 1.0, { gamma: 0.95 });

function train(model: TransformerModel): number {
  model.train();
  let totalLoss = 0.0;
  let numBatches = 0;
  for (let i = 0; i < trainData.size(0) - 1; i += bptt) {
    const [data, targets] = getBatch(trainData, i);
    const output = model(data);
    const outputFlat = output.view(-1, ntokens);
    const loss = criterion(outputFlat, targets);

    optimizer.zeroGrad();
    loss.backward();
    nn.utils.clipGradNorm_(model.parameters(), 0.5);
    optimizer.step();

    totalLoss += loss.item();
    losses.push(loss.item());
    numBatches += 1;
  }
  return totalLoss / numBatches;
}

function evaluate(model: TransformerModel, evalData: Tensor): number {
  model.eval();
  let totalLoss = 0.0;
  torch.noGrad(() => {
    for (let i = 0; i < evalData.size(0) - 1; i += bptt) {
      const [data, targets] = getBatch(evalData, i);
      const seqLen = data.size(0);
      const output = model(data);
      const outputFlat = output.view(-1, ntokens);
      totalLoss += seqLen * criterion(outputFlat, targets).item();
    }
  });
  return totalLoss / (evalData.size(0) - 1);
}

let bestValLoss = Infinity;
let bestState = new Map<string, Tensor>();
for (let epoch = 1; epoch <= epochs; epoch++) {
  train(model);
  const valLoss = evaluate(model, valData);
  losses.push(valLoss);
  print("-".repeat(60));
  print(
    `| end of epoch ${format(epoch, "3d")} | valid loss ${format(valLoss, "5.2f")} | ` +
      `valid ppl ${format(Math.exp(valLoss), "8.1f")}`,
  );
  if (valLoss < bestValLoss) {
    bestValLoss = valLoss;
    bestState = new Map([...model.stateDict()].map(([name, value]) => [name, value.clone()]));
  }
  scheduler.step();
}

model.loadStateDict(bestState);
export const checks = { best: [evaluate(model, valData)], lr: scheduler.getLastLr() };
