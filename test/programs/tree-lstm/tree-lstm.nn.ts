/** A child-sum Tree-LSTM (Tai et al., 2015) that evaluates random expressions; each tree has a structure of its own. */
import { nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(9);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [EMB_DIM, MEM_DIM, HIDDEN_DIM] = [16, 16, 16];
const [N_TRAIN, N_TEST, MAX_DEPTH, MAX_CHILDREN] = [40, 12, 3, 3];
const [BATCH_SIZE, EPOCHS] = [8, 1];

const OPERATORS = ["MAX", "MIN", "SUM"];
const DIGITS = 5;
const NUM_CLASSES = DIGITS;
const VOCAB = [...OPERATORS, ...Array.from({ length: DIGITS }, (_, d) => String(d))];

/** A node with its children. */
class Tree {
  word: string;
  children: Tree[] = [];
  state: [c: Tensor, h: Tensor] | null = null;

  constructor(word: string) {
    this.word = word;
  }

  size(): number {
    return 1 + this.children.reduce((sum, child) => sum + child.size(), 0);
  }

  depth(): number {
    return 1 + Math.max(0, ...this.children.map((child) => child.depth()));
  }

  value(): number {
    if (this.children.length === 0) return Number(this.word);
    const values = this.children.map((child) => child.value());
    if (this.word === "MAX") return Math.max(...values);
    if (this.word === "MIN") return Math.min(...values);
    return values.reduce((a, b) => a + b) % DIGITS;
  }

  toString(): string {
    if (this.children.length === 0) return this.word;
    return `[${[this.word, ...this.children].join(" ")}]`;
  }
}

function randomInt(low: number, high: number): number {
  return torch.randint(low, high, [1]).item();
}

function randomTree(depth: number): Tree {
  if (depth === 0 || (depth < MAX_DEPTH && torch.rand(1).item() < 0.4))
    return new Tree(String(randomInt(0, DIGITS)));
  const tree = new Tree(OPERATORS[randomInt(0, OPERATORS.length)]);
  const n = randomInt(2, MAX_CHILDREN + 1);
  for (let i = 0; i < n; i++) tree.children.push(randomTree(depth - 1));
  return tree;
}

class ChildSumTreeLSTM extends nn.Module {
  inDim: number;
  memDim: number;
  ioux: nn.Linear;
  iouh: nn.Linear;
  fx: nn.Linear;
  fh: nn.Linear;

  constructor(inDim: number, memDim: number) {
    super();
    this.inDim = inDim;
    this.memDim = memDim;
    this.ioux = new nn.Linear(inDim, 3 * memDim);
    this.iouh = new nn.Linear(memDim, 3 * memDim, { bias: false });
    this.fx = new nn.Linear(inDim, memDim);
    this.fh = new nn.Linear(memDim, memDim, { bias: false });
  }

  nodeForward(x: Tensor, childC: Tensor, childH: Tensor): [Tensor, Tensor] {
    const childHSum = childH.sum({ dim: 0, keepdim: true });
    const iou = this.ioux(x).add(this.iouh(childHSum));
    let [i, o, u] = torch.split(iou, this.memDim, { dim: 1 });
    [i, o, u] = [torch.sigmoid(i), torch.sigmoid(o), torch.tanh(u)];
    const f = torch.sigmoid(this.fh(childH).add(this.fx(x).repeat(childH.size(0), 1)));
    const c = i.mul(u).add(f.mul(childC).sum({ dim: 0, keepdim: true }));
    const h = o.mul(torch.tanh(c));
    return [c, h];
  }

  forward(tree: Tree, embedding: nn.Embedding): [Tensor, Tensor] {
    for (const child of tree.children) this.forward(child, embedding);
    const x = embedding(torch.tensor([VOCAB.indexOf(tree.word)]));
    let childC: Tensor;
    let childH: Tensor;
    if (tree.children.length === 0) {
      childC = torch.zeros(1, this.memDim);
      childH = torch.zeros(1, this.memDim);
    } else {
      childC = torch.cat(
        tree.children.map((child) => child.state![0]),
        { dim: 0 },
      );
      childH = torch.cat(
        tree.children.map((child) => child.state![1]),
        { dim: 0 },
      );
    }
    tree.state = this.nodeForward(x, childC, childH);
    return tree.state;
  }
}

class TreeClassifier extends nn.Module {
  embedding: nn.Embedding;
  encoder: ChildSumTreeLSTM;
  wh: nn.Linear;
  wp: nn.Linear;

  constructor() {
    super();
    this.embedding = new nn.Embedding(VOCAB.length, EMB_DIM);
    this.encoder = new ChildSumTreeLSTM(EMB_DIM, MEM_DIM);
    this.wh = new nn.Linear(MEM_DIM, HIDDEN_DIM);
    this.wp = new nn.Linear(HIDDEN_DIM, NUM_CLASSES);
  }

  forward(tree: Tree): Tensor {
    const [, h] = this.encoder(tree, this.embedding);
    return this.wp(torch.relu(this.wh(h)));
  }
}

const trainTrees = Array.from({ length: N_TRAIN }, () => randomTree(MAX_DEPTH));
const testTrees = Array.from({ length: N_TEST }, () => randomTree(MAX_DEPTH));
print(String(trainTrees[0]), "=", trainTrees[0].value());
print(
  "nodes",
  trainTrees.reduce((sum, tree) => sum + tree.size(), 0),
  "depth",
  Math.max(...trainTrees.map((tree) => tree.depth())),
);

const model = new TreeClassifier();
print(model);
const criterion = new nn.CrossEntropyLoss();
const optimizer = new optim.Adagrad(model.parameters(), { lr: 0.05, weightDecay: 1e-4 });

function train(): number {
  model.train();
  optimizer.zeroGrad();
  let totalLoss = 0.0;
  const order = torch.randperm(trainTrees.length).tolist() as number[];
  for (const [k, index] of order.entries()) {
    const tree = trainTrees[index];
    const output = model(tree);
    const loss = criterion(output, torch.tensor([tree.value()]));
    totalLoss += loss.item();
    losses.push(loss.item());
    loss.div(BATCH_SIZE).backward();
    if ((k + 1) % BATCH_SIZE === 0) {
      optimizer.step();
      optimizer.zeroGrad();
    }
  }
  return totalLoss / trainTrees.length;
}

function test(): [loss: number, right: number] {
  model.eval();
  let totalLoss = 0.0;
  const predictions: number[] = [];
  torch.noGrad(() => {
    for (const tree of testTrees) {
      const output = model(tree);
      totalLoss += criterion(output, torch.tensor([tree.value()])).item();
      predictions.push(output.argmax({ dim: 1 }).item());
    }
  });
  const right = testTrees.filter((tree, i) => predictions[i] === tree.value()).length;
  return [totalLoss / testTrees.length, right];
}

const history: number[] = [];
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  const trainLoss = train();
  const [testLoss, right] = test();
  history.push(trainLoss, testLoss);
  print(`epoch ${epoch + 1}: ${right} of ${N_TEST} right`);
}
checks["history"] = history;
checks["memory"] = testTrees[0].state![0].flatten().tolist() as number[];
