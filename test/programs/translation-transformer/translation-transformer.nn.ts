// An encoder-decoder Transformer that learns to reverse sequences, with padding and causal masks and greedy decoding
import { torch, nn, optim, data, print, type Tensor } from "layerwise";

const { padSequence } = nn.utils.rnn;

torch.manualSeed(0);
export const losses: number[] = [];

const [PAD_IDX, BOS_IDX, EOS_IDX] = [1, 2, 3];
const LETTERS = "abcdefgh";
const [N_PAIRS, N_TRAIN, SHORTEST, LONGEST] = [96, 80, 2, 5];
const [LAYERS, EMB_SIZE, HEADS, FEEDFORWARD] = [2, 32, 4, 48];
const [BATCH, EPOCHS] = [16, 6];
const SRC_VOCAB_SIZE = 4 + LETTERS.length;
const TGT_VOCAB_SIZE = SRC_VOCAB_SIZE;
const index = Object.fromEntries([...LETTERS].map((letter, i) => [letter, 4 + i]));

// Words of any length, to be written from right to left.
type Pair = [string, string];
const pairs: Pair[] = [];
for (let i = 0; i < N_PAIRS; i++) {
  const length = torch.randint(SHORTEST, LONGEST + 1, [1]).item();
  const letters = torch.randint(LETTERS.length, [length]).tolist() as number[];
  const word = letters.map((k) => LETTERS[k]);
  pairs.push([word.join(""), word.toReversed().join("")]);
}
const [trainPairs, valPairs] = [pairs.slice(0, N_TRAIN), pairs.slice(N_TRAIN)];

class PositionalEncoding extends nn.Module {
  dropout: nn.Dropout;
  declare posEmbedding: Tensor;

  constructor(embSize: number, dropout: number, maxlen = 50) {
    super();
    const den = torch.exp(torch.arange(0, embSize, 2).neg().mul(Math.log(10000)).div(embSize));
    const pos = torch.arange(0, maxlen).reshape(maxlen, 1);
    let posEmbedding = torch.zeros([maxlen, embSize]);
    posEmbedding.indexPut_([":", "0::2"], torch.sin(pos.mul(den)));
    posEmbedding.indexPut_([":", "1::2"], torch.cos(pos.mul(den)));
    posEmbedding = posEmbedding.unsqueeze(-2);
    this.dropout = new nn.Dropout(dropout);
    this.registerBuffer("posEmbedding", posEmbedding);
  }

  forward(tokenEmbedding: Tensor): Tensor {
    return this.dropout(tokenEmbedding.add(this.posEmbedding.index(`:${tokenEmbedding.size(0)}`, ":")));
  }
}

class TokenEmbedding extends nn.Module {
  embedding: nn.Embedding;
  embSize: number;

  constructor(vocabSize: number, embSize: number) {
    super();
    this.embedding = new nn.Embedding(vocabSize, embSize);
    this.embSize = embSize;
  }

  forward(tokens: Tensor): Tensor {
    return this.embedding(tokens.long()).mul(Math.sqrt(this.embSize));
  }
}

class Seq2SeqTransformer extends nn.Module {
  transformer: nn.Transformer;
  generator: nn.Linear;
  srcTokEmb: TokenEmbedding;
  tgtTokEmb: TokenEmbedding;
  positionalEncoding: PositionalEncoding;

  constructor(
    numEncoderLayers: number,
    numDecoderLayers: number,
    embSize: number,
    nhead: number,
    srcVocabSize: number,
    tgtVocabSize: number,
    dimFeedforward = 512,
    dropout = 0.1,
  ) {
    super();
    this.transformer = new nn.Transformer({
      dModel: embSize,
      nhead,
      numEncoderLayers,
      numDecoderLayers,
      dimFeedforward,
      dropout,
    });
    this.generator = new nn.Linear(embSize, tgtVocabSize);
    this.srcTokEmb = new TokenEmbedding(srcVocabSize, embSize);
    this.tgtTokEmb = new TokenEmbedding(tgtVocabSize, embSize);
    this.positionalEncoding = new PositionalEncoding(embSize, dropout);
  }

  forward(
    src: Tensor,
    trg: Tensor,
    srcMask: Tensor,
    tgtMask: Tensor,
    srcPaddingMask: Tensor,
    tgtPaddingMask: Tensor,
    memoryKeyPaddingMask: Tensor,
  ): Tensor {
    const srcEmb = this.positionalEncoding(this.srcTokEmb(src));
    const tgtEmb = this.positionalEncoding(this.tgtTokEmb(trg));
    const outs = this.transformer(
      srcEmb,
      tgtEmb,
      srcMask,
      tgtMask,
      null,
      srcPaddingMask,
      tgtPaddingMask,
      memoryKeyPaddingMask,
    );
    return this.generator(outs);
  }

  encode(src: Tensor, srcMask: Tensor): Tensor {
    return this.transformer.encoder(this.positionalEncoding(this.srcTokEmb(src)), srcMask);
  }

  decode(tgt: Tensor, memory: Tensor, tgtMask: Tensor): Tensor {
    return this.transformer.decoder(this.positionalEncoding(this.tgtTokEmb(tgt)), memory, tgtMask);
  }
}

function generateSquareSubsequentMask(sz: number): Tensor {
  const mask = torch
    .triu(torch.ones([sz, sz]))
    .eq(1)
    .transpose(0, 1);
  return mask.eq(0);
}

function createMask(src: Tensor, tgt: Tensor): [Tensor, Tensor, Tensor, Tensor] {
  const srcSeqLen = src.shape[0];
  const tgtSeqLen = tgt.shape[0];

  const tgtMask = generateSquareSubsequentMask(tgtSeqLen);
  const srcMask = torch.zeros([srcSeqLen, srcSeqLen]).to(torch.bool);

  const srcPaddingMask = src.eq(PAD_IDX).transpose(0, 1);
  const tgtPaddingMask = tgt.eq(PAD_IDX).transpose(0, 1);
  return [srcMask, tgtMask, srcPaddingMask, tgtPaddingMask];
}

const transformer = new Seq2SeqTransformer(
  LAYERS,
  LAYERS,
  EMB_SIZE,
  HEADS,
  SRC_VOCAB_SIZE,
  TGT_VOCAB_SIZE,
  FEEDFORWARD,
);
for (const p of transformer.parameters()) if (p.dim() > 1) nn.init.xavierUniform_(p);
const lossFn = new nn.CrossEntropyLoss({ ignoreIndex: PAD_IDX });
const optimizer = new optim.Adam(transformer.parameters(), { lr: 0.003, betas: [0.9, 0.98], eps: 1e-9 });

function textTransform(word: string): Tensor {
  return torch.cat([
    torch.tensor([BOS_IDX]),
    torch.tensor([...word].map((c) => index[c])),
    torch.tensor([EOS_IDX]),
  ]);
}

function collateFn(batch: Pair[]): [Tensor, Tensor] {
  const srcBatch: Tensor[] = [];
  const tgtBatch: Tensor[] = [];
  for (const [srcSample, tgtSample] of batch) {
    srcBatch.push(textTransform(srcSample));
    tgtBatch.push(textTransform(tgtSample));
  }
  return [padSequence(srcBatch, { paddingValue: PAD_IDX }), padSequence(tgtBatch, { paddingValue: PAD_IDX })];
}

function runEpoch(
  model: Seq2SeqTransformer,
  pairs: Pair[],
  { shuffle, train }: { shuffle: boolean; train: boolean },
): number {
  model.train(train);
  let total = 0;
  const dataloader = new data.DataLoader(pairs, { batchSize: BATCH, shuffle, collateFn });
  for (const [src, tgt] of dataloader) {
    const tgtInput = tgt.index(":-1", ":");
    const [srcMask, tgtMask, srcPaddingMask, tgtPaddingMask] = createMask(src, tgtInput);
    const logits = model(src, tgtInput, srcMask, tgtMask, srcPaddingMask, tgtPaddingMask, srcPaddingMask);
    const tgtOut = tgt.index("1:", ":");
    const loss = lossFn(logits.reshape(-1, logits.shape.at(-1)!), tgtOut.reshape(-1));
    if (train) {
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      losses.push(loss.item());
    }
    total += loss.item();
  }
  return total / dataloader.length;
}

for (let epoch = 1; epoch <= EPOCHS; epoch++) {
  runEpoch(transformer, trainPairs, { shuffle: true, train: true });
  torch.noGrad(() => {
    losses.push(runEpoch(transformer, valPairs, { shuffle: false, train: false }));
  });
  print(`Epoch: ${epoch}, losses so far: ${losses.length}`);
}

function greedyDecode(
  model: Seq2SeqTransformer,
  src: Tensor,
  srcMask: Tensor,
  maxLen: number,
  startSymbol: number,
): Tensor {
  const memory = model.encode(src, srcMask);
  let ys = torch.ones(1, 1).fill_(startSymbol).to(torch.long);
  for (let i = 0; i < maxLen - 1; i++) {
    const tgtMask = generateSquareSubsequentMask(ys.size(0)).to(torch.bool);
    let out = model.decode(ys, memory, tgtMask);
    out = out.transpose(0, 1);
    const prob = model.generator(out.index(":", -1));
    const { indices } = torch.max(prob, { dim: 1 });
    const nextWord = indices.item();
    ys = torch.cat([ys, torch.ones(1, 1).typeAs(src.data).fill_(nextWord)], { dim: 0 });
    if (nextWord === EOS_IDX) break;
  }
  return ys;
}

function translate(model: Seq2SeqTransformer, word: string): string {
  model.eval();
  const src = textTransform(word).view(-1, 1);
  const numTokens = src.shape[0];
  const srcMask = torch.zeros(numTokens, numTokens).to(torch.bool);
  const tgtTokens = torch.noGrad(() => greedyDecode(model, src, srcMask, numTokens + 2, BOS_IDX).flatten());
  return (tgtTokens.tolist() as number[])
    .filter((t) => t >= 4)
    .map((t) => LETTERS[t - 4])
    .join("");
}

for (const [word, reverse] of valPairs.slice(0, 5)) print(word, reverse, translate(transformer, word));
