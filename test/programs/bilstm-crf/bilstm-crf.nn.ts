// A bidirectional LSTM with a conditional random field: the forward algorithm, Viterbi, then a batched form with a mask
import { torch, nn, optim, print, type Tensor } from "layerwise";

const { padSequence } = nn.utils.rnn;

torch.manualSeed(1);
export const losses: number[] = [];
const [EMBEDDING_DIM, HIDDEN_DIM, EPOCHS] = [5, 4, 10];

function argmax(vec: Tensor): number {
  const [, idx] = torch.max(vec, 1);
  return idx.item();
}

function prepareSequence(seq: string[], toIx: Map<string, number>): Tensor {
  return torch.tensor(
    seq.map((w) => toIx.get(w)!),
    { dtype: torch.long },
  );
}

function logSumExp(vec: Tensor): Tensor {
  const maxScore = vec.index(0, argmax(vec));
  const maxScoreBroadcast = maxScore.view(1, -1).expand(1, vec.size()[1]);
  return maxScore.add(torch.log(torch.sum(torch.exp(vec.sub(maxScoreBroadcast)))));
}

const START_TAG = "<START>";
const STOP_TAG = "<STOP>";

class BiLSTM_CRF extends nn.Module {
  embeddingDim: number;
  hiddenDim: number;
  vocabSize: number;
  tagToIx: Record<string, number>;
  tagsetSize: number;
  word_embeds: nn.Embedding;
  lstm: nn.LSTM;
  hidden2tag: nn.Linear;
  transitions: nn.Parameter;
  hidden: [Tensor, Tensor];

  constructor(vocabSize: number, tagToIx: Record<string, number>, embeddingDim: number, hiddenDim: number) {
    super();
    this.embeddingDim = embeddingDim;
    this.hiddenDim = hiddenDim;
    this.vocabSize = vocabSize;
    this.tagToIx = tagToIx;
    this.tagsetSize = Object.keys(tagToIx).length;
    this.word_embeds = new nn.Embedding(vocabSize, embeddingDim);
    this.lstm = new nn.LSTM(embeddingDim, Math.floor(hiddenDim / 2), { numLayers: 1, bidirectional: true });
    this.hidden2tag = new nn.Linear(hiddenDim, this.tagsetSize);
    this.transitions = new nn.Parameter(torch.randn(this.tagsetSize, this.tagsetSize));
    this.transitions.data.indexPut_([tagToIx[START_TAG], ":"], -10000);
    this.transitions.data.indexPut_([":", tagToIx[STOP_TAG]], -10000);
    this.hidden = this.initHidden();
  }

  initHidden(): [Tensor, Tensor] {
    return [
      torch.randn(2, 1, Math.floor(this.hiddenDim / 2)),
      torch.randn(2, 1, Math.floor(this.hiddenDim / 2)),
    ];
  }

  _forwardAlg(feats: Tensor): Tensor {
    const initAlphas = torch.full([1, this.tagsetSize], -10000.0);
    initAlphas.index(0).indexPut_([this.tagToIx[START_TAG]], 0.0);
    let forwardVar = initAlphas;
    for (const feat of feats) {
      const alphasT: Tensor[] = [];
      for (let nextTag = 0; nextTag < this.tagsetSize; nextTag++) {
        const emitScore = feat.index(nextTag).view(1, -1).expand(1, this.tagsetSize);
        const transScore = this.transitions.index(nextTag).view(1, -1);
        const nextTagVar = forwardVar.add(transScore).add(emitScore);
        alphasT.push(logSumExp(nextTagVar).view(1));
      }
      forwardVar = torch.cat(alphasT).view(1, -1);
    }
    const terminalVar = forwardVar.add(this.transitions.index(this.tagToIx[STOP_TAG]));
    return logSumExp(terminalVar);
  }

  _getLstmFeatures(sentence: Tensor): Tensor {
    this.hidden = this.initHidden();
    const embeds = this.word_embeds(sentence).view(sentence.size(0), 1, -1);
    let lstmOut: Tensor;
    [lstmOut, this.hidden] = this.lstm(embeds, this.hidden);
    lstmOut = lstmOut.view(sentence.size(0), this.hiddenDim);
    return this.hidden2tag(lstmOut);
  }

  _scoreSentence(feats: Tensor, tags: Tensor): Tensor {
    let score = torch.zeros(1);
    tags = torch.cat([torch.tensor([this.tagToIx[START_TAG]], { dtype: torch.long }), tags]);
    for (const [i, feat] of [...feats].entries())
      score = score
        .add(this.transitions.index(tags.index(i + 1), tags.index(i)))
        .add(feat.index(tags.index(i + 1)));
    return score.add(this.transitions.index(this.tagToIx[STOP_TAG], tags.index(-1)));
  }

  _viterbiDecode(feats: Tensor): [Tensor, number[]] {
    const backpointers: number[][] = [];
    const initVvars = torch.full([1, this.tagsetSize], -10000.0);
    initVvars.index(0).indexPut_([this.tagToIx[START_TAG]], 0);
    let forwardVar = initVvars;
    for (const feat of feats) {
      const bptrsT: number[] = [];
      const viterbivarsT: Tensor[] = [];
      for (let nextTag = 0; nextTag < this.tagsetSize; nextTag++) {
        const nextTagVar = forwardVar.add(this.transitions.index(nextTag));
        const bestTagId = argmax(nextTagVar);
        bptrsT.push(bestTagId);
        viterbivarsT.push(nextTagVar.index(0).index(bestTagId).view(1));
      }
      forwardVar = torch.cat(viterbivarsT).add(feat).view(1, -1);
      backpointers.push(bptrsT);
    }
    const terminalVar = forwardVar.add(this.transitions.index(this.tagToIx[STOP_TAG]));
    let bestTagId = argmax(terminalVar);
    const pathScore = terminalVar.index(0).index(bestTagId);
    const bestPath = [bestTagId];
    for (const bptrsT of backpointers.toReversed()) {
      bestTagId = bptrsT[bestTagId];
      bestPath.push(bestTagId);
    }
    const start = bestPath.pop();
    if (start !== this.tagToIx[START_TAG]) throw new Error("assert");
    bestPath.reverse();
    return [pathScore, bestPath];
  }

  negLogLikelihood(sentence: Tensor, tags: Tensor): Tensor {
    const feats = this._getLstmFeatures(sentence);
    return this._forwardAlg(feats).sub(this._scoreSentence(feats, tags));
  }

  forward(sentence: Tensor): [Tensor, number[]] {
    const lstmFeats = this._getLstmFeatures(sentence);
    const [score, tagSeq] = this._viterbiDecode(lstmFeats);
    return [score, tagSeq];
  }
}

const trainingData: [string[], string[]][] = [
  [
    "the wall street journal reported today that apple corporation made money".split(" "),
    "B I I I O O O B I O O".split(" "),
  ],
  ["georgia tech is a university in georgia".split(" "), "B I O O O O B".split(" ")],
];
const wordToIx = new Map<string, number>();
for (const [sentence] of trainingData)
  for (const word of sentence) if (!wordToIx.has(word)) wordToIx.set(word, wordToIx.size);
const tagToIx: Record<string, number> = { B: 0, I: 1, O: 2, [START_TAG]: 3, [STOP_TAG]: 4 };

const model = new BiLSTM_CRF(wordToIx.size, tagToIx, EMBEDDING_DIM, HIDDEN_DIM);
const optimizer = new optim.SGD(model.parameters(), { lr: 0.01, weightDecay: 1e-4 });
print(model);

const precheckSent = prepareSequence(trainingData[0][0], wordToIx);
const tuple = ([score, path]: [Tensor, number[]]) => `(${score.toString()}, [${path.join(", ")}])`;
torch.noGrad(() => {
  print(tuple(model(precheckSent)));
});

let loss: Tensor;
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  for (const [sentence, tags] of trainingData) {
    model.zeroGrad();
    const sentenceIn = prepareSequence(sentence, wordToIx);
    const targets = torch.tensor(
      tags.map((t) => tagToIx[t]),
      { dtype: torch.long },
    );
    loss = model.negLogLikelihood(sentenceIn, targets);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
}
print(loss!.shape, loss!.requiresGrad);

torch.noGrad(() => print(tuple(model(precheckSent))));

/** A batched CRF with masks */
class CRF extends nn.Module {
  start_transitions: nn.Parameter;
  end_transitions: nn.Parameter;
  transitions: nn.Parameter;
  numTags: number;
  batchFirst: boolean;

  constructor(numTags: number, { batchFirst = false } = {}) {
    super();
    this.numTags = numTags;
    this.batchFirst = batchFirst;
    this.start_transitions = new nn.Parameter(torch.empty(numTags));
    this.end_transitions = new nn.Parameter(torch.empty(numTags));
    this.transitions = new nn.Parameter(torch.empty(numTags, numTags));
    this.resetParameters();
  }

  resetParameters(): void {
    for (const p of this.parameters()) nn.init.uniform_(p, -0.1, 0.1);
  }

  override toString(): string {
    return `${this.constructor.name}(num_tags=${this.numTags})`;
  }

  forward(emissions: Tensor, tags: Tensor, mask: Tensor, { reduction = "sum" } = {}): Tensor {
    if (this.batchFirst)
      [emissions, tags, mask] = [emissions.transpose(0, 1), tags.transpose(0, 1), mask.transpose(0, 1)];
    if (!mask.index(0).all().item()) throw new Error("mask of the first timestep must all be on");
    const llh = this._score(emissions, tags, mask).sub(this._normalizer(emissions, mask));
    if (reduction === "none") return llh;
    if (reduction === "mean") return llh.mean();
    return llh.sum().div(mask.float().sum());
  }

  _score(emissions: Tensor, tags: Tensor, mask: Tensor): Tensor {
    const [seqLength, batchSize] = tags.shape;
    mask = mask.float();
    const score = this.start_transitions.index(tags.index(0));
    score.add_(emissions.index(0, torch.arange(batchSize), tags.index(0)));
    for (let i = 1; i < seqLength; i++) {
      score.add_(this.transitions.index(tags.index(i - 1), tags.index(i)).mul(mask.index(i)));
      score.add_(emissions.index(i, torch.arange(batchSize), tags.index(i)).mul(mask.index(i)));
    }
    const seqEnds = mask.long().sum({ dim: 0 }).sub(1);
    const lastTags = tags.index(seqEnds, torch.arange(batchSize));
    score.add_(this.end_transitions.index(lastTags));
    return score;
  }

  _normalizer(emissions: Tensor, mask: Tensor): Tensor {
    const seqLength = emissions.size(0);
    let score = this.start_transitions.add(emissions.index(0));
    for (let i = 1; i < seqLength; i++) {
      let nextScore = score.unsqueeze(2).add(this.transitions).add(emissions.index(i).unsqueeze(1));
      nextScore = torch.logsumexp(nextScore, { dim: 1 });
      score = torch.where(mask.index(i).unsqueeze(1), nextScore, score);
    }
    score.add_(this.end_transitions);
    return torch.logsumexp(score, { dim: 1 });
  }

  decode(emissions: Tensor, mask: Tensor): number[][] {
    return torch.noGrad(() => {
      if (this.batchFirst) [emissions, mask] = [emissions.transpose(0, 1), mask.transpose(0, 1)];
      const [seqLength, batchSize] = mask.shape;
      let score = this.start_transitions.add(emissions.index(0));
      const history: Tensor[] = [];
      for (let i = 1; i < seqLength; i++) {
        const [nextScore, indices] = score
          .index(":", ":", null)
          .add(this.transitions)
          .add(emissions.index(i).index(":", null))
          .max({ dim: 1 });
        score = torch.where(mask.index(i).unsqueeze(1), nextScore, score);
        history.push(indices);
      }
      score.add_(this.end_transitions);
      const seqEnds = mask.long().sum({ dim: 0 }).sub(1);
      const bestTagsList: number[][] = [];
      for (let idx = 0; idx < batchSize; idx++) {
        let [, bestLastTag] = score.index(idx).max({ dim: 0 });
        const bestTags = [bestLastTag.item()];
        for (const hist of history.slice(0, seqEnds.index(idx).item()).reverse()) {
          bestLastTag = hist.index(idx).index(bestTags.at(-1)!);
          bestTags.push(bestLastTag.item());
        }
        bestTags.reverse();
        bestTagsList.push(bestTags);
      }
      return bestTagsList;
    });
  }
}

class Tagger extends nn.Module {
  embed: nn.Embedding;
  gru: nn.GRU;
  drop: nn.Dropout;
  proj: nn.Linear;
  crf: CRF;

  constructor(vocab: number, numTags: number) {
    super();
    this.embed = new nn.Embedding(vocab + 1, 8, { paddingIdx: vocab });
    this.gru = new nn.GRU(8, 6, { batchFirst: true, bidirectional: true });
    this.drop = new nn.Dropout(0.1);
    this.proj = new nn.Linear(12, numTags);
    this.crf = new CRF(numTags, { batchFirst: true });
    for (const [name, param] of this.gru.namedParameters()) {
      if (name.includes("weight_hh")) nn.init.orthogonal_(param);
      else if (name.includes("bias")) nn.init.constant_(param, 0);
    }
  }

  forward(words: Tensor): Tensor {
    const lengths = words.ne(this.embed.paddingIdx!).sum(1);
    const packed = nn.utils.rnn.packPaddedSequence(this.embed(words), lengths, {
      batchFirst: true,
      enforceSorted: false,
    });
    let [out] = this.gru(packed);
    const [padded] = nn.utils.rnn.padPackedSequence(out, { batchFirst: true });
    return this.proj(this.drop(padded));
  }
}

const [V, K] = [20, 4];
const sequences = [4, 7, 5, 9, 3, 6].map((n) => torch.randint(V, [n]));
const labels = sequences.map((s) => s.add(s.roll(1)).remainder(K));
const words = padSequence(sequences, { batchFirst: true, paddingValue: V });
const tags = padSequence(labels, { batchFirst: true });
const mask = words.ne(V);
const tagger = new Tagger(V, K);
print(tagger);
const opt = new optim.Adam(tagger.parameters(), { lr: 0.05, amsgrad: true });
for (let step = 0; step < 25; step++) {
  opt.zeroGrad();
  const loss = tagger.crf(tagger(words), tags, mask).neg();
  loss.backward();
  nn.utils.clipGradValue_(tagger.parameters(), 0.5);
  opt.step();
  losses.push(loss.item());
}
tagger.eval();
const em = tagger(words);
print(tagger.crf.decode(em, mask));
print(tagger.crf(em, tags, mask, { reduction: "none" }).neg().detach().round({ decimals: 2 }));
print(mask.sum(1).tolist(), words.index(0), tagger.embed.weight.grad!.index(V));
export const checks = {
  transitions: model.transitions.flatten().tolist(),
  crf: tagger.crf.transitions.flatten().tolist(),
};
