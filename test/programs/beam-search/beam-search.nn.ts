/** A GRU encoder-decoder with beam search: it learns to sort digits, and decodes with several hypotheses. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(5);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [HIDDEN, VOCAB, LENGTH] = [24, 12, 4];
const [BATCH, STEPS, BEAMS, SENTENCES] = [8, 20, 3, 3];
const [START, END] = [10, 11];

class Encoder extends nn.Module {
  embedding = new nn.Embedding(VOCAB, HIDDEN);
  gru = new nn.GRU(HIDDEN, HIDDEN, { batchFirst: true });

  forward(x: Tensor): [Tensor, Tensor] {
    return this.gru(this.embedding(x));
  }
}

class Decoder extends nn.Module {
  embedding = new nn.Embedding(VOCAB, HIDDEN);
  cell = new nn.GRUCell(2 * HIDDEN, HIDDEN);
  out = new nn.Linear(2 * HIDDEN, VOCAB);

  forward(token: Tensor, state: Tensor, outputs: Tensor): [Tensor, Tensor] {
    const scores = torch.bmm(outputs, state.unsqueeze(2)).squeeze(2);
    const context = torch.bmm(F.softmax(scores, { dim: 1 }).unsqueeze(1), outputs).squeeze(1);
    state = this.cell(torch.cat([this.embedding(token), context], { dim: 1 }), state);
    return [this.out(torch.cat([state, context], { dim: 1 })), state];
  }
}

const [encoder, decoder] = [new Encoder(), new Decoder()];
const parameters = [...encoder.parameters(), ...decoder.parameters()];
const optimizer = new optim.Adam(parameters, { lr: 2e-3 });

function batch(n: number): [Tensor, Tensor] {
  const x = torch.randint(0, 10, [n, LENGTH]);
  const y = torch.cat([x.sort({ dim: 1 }).values, torch.full([n, 1], END)], { dim: 1 });
  return [x, y];
}

for (let step = 0; step < STEPS; step++) {
  const [x, y] = batch(BATCH);
  const [outputs, hidden] = encoder(x);
  let state = hidden.index(0);
  let token = torch.full([BATCH], START);
  let loss = torch.tensor(0);
  for (let t = 0; t < LENGTH + 1; t++) {
    const [logits, next] = decoder(token, state, outputs);
    state = next;
    loss = loss.add(F.crossEntropy(logits, y.index(":", t)));
    token = y.index(":", t);
  }
  loss = loss.div(LENGTH + 1);
  optimizer.zeroGrad();
  loss.backward();
  nn.utils.clipGradNorm_(parameters, 1.0);
  optimizer.step();
  losses.push(loss.item());
}

function beamSearch(x: Tensor): [number[], number] {
  let [outputs, hidden] = encoder(x);
  outputs = outputs.expand(BEAMS, -1, -1);
  let state = hidden.index(0).expand(BEAMS, -1);
  let token = torch.full([BEAMS], START);
  let scores = torch.full([BEAMS], -1e9);
  scores.indexPut_([0], 0.0);
  let sequences = torch.empty(BEAMS, 0, { dtype: torch.long });
  let ended = torch.zeros(BEAMS, { dtype: torch.bool });
  const onlyEnd = torch.full([VOCAB], -1e9);
  onlyEnd.indexPut_([END], 0.0);
  for (let t = 0; t < LENGTH + 2; t++) {
    const [logits, next] = decoder(token, state, outputs);
    state = next;
    let logProbs = F.logSoftmax(logits, { dim: -1 });
    logProbs = torch.where(ended.unsqueeze(1), onlyEnd, logProbs);
    const total = scores.unsqueeze(1).add(logProbs);
    const { values, indices: best } = total.view(-1).topk(BEAMS);
    scores = values;
    const parents = torch.div(best, VOCAB, { roundingMode: "floor" });
    token = best.remainder(VOCAB);
    state = state.index(parents);
    ended = ended.index(parents).logicalOr(token.eq(END));
    sequences = torch.cat([sequences.index(parents), token.unsqueeze(1)], { dim: 1 });
    if (ended.all().item()) break;
  }
  return [sequences.index(0).tolist() as number[], scores.index(0).item()];
}

let right = 0;
const found: number[] = [];
torch.noGrad(() => {
  for (let i = 0; i < SENTENCES; i++) {
    const [x, y] = batch(1);
    const [sequence, score] = beamSearch(x);
    print("sequence:", sequence.join(" "));
    if (String(sequence.slice(0, LENGTH + 1)) === String(y.index(0).tolist())) right++;
    found.push(score);
  }
});
print("right:", right, "of", SENTENCES);
checks["scores"] = found;
