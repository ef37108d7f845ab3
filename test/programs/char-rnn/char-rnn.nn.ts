// Classifies names with a recurrent network written out by hand: one name at a time, of any length
import { torch, nn, format, print, type Tensor } from "layerwise";

torch.manualSeed(5);
export const losses: number[] = [];

const categoryLines: Record<string, string[]> = {
  English: ["Adams", "Baker", "Clark", "Churchill", "Evans", "Wood", "Young", "Hall"],
  Italian: ["Rossi", "Russo", "Ferrari", "Esposito", "Bianchi", "Romano", "Colombo", "Ricci"],
  Japanese: ["Sato", "Suzuki", "Takahashi", "Tanaka", "Watanabe", "Ito", "Yamamoto", "Kobayashi"],
};
const allCategories = Object.keys(categoryLines);
const nCategories = allCategories.length;
const allLetters = "abcdefghijklmnopqrstuvwxyz";
const nLetters = allLetters.length;

const letterToIndex = (letter: string): number => allLetters.indexOf(letter);

/** A line as <lineLength x 1 x nLetters>, an array of one-hot letter vectors. */
function lineToTensor(line: string): Tensor {
  const tensor = torch.zeros(line.length, 1, nLetters);
  for (const [li, letter] of [...line.toLowerCase()].entries())
    tensor
      .index(li)
      .index(0)
      .indexPut_([letterToIndex(letter)], 1);
  return tensor;
}

class RNN extends nn.Module {
  hiddenSize: number;
  i2h: nn.Linear;
  h2o: nn.Linear;
  softmax: nn.LogSoftmax;

  constructor(inputSize: number, hiddenSize: number, outputSize: number) {
    super();
    this.hiddenSize = hiddenSize;
    this.i2h = new nn.Linear(inputSize + hiddenSize, hiddenSize);
    this.h2o = new nn.Linear(hiddenSize, outputSize);
    this.softmax = new nn.LogSoftmax({ dim: 1 });
  }

  forward(input: Tensor, hidden: Tensor): [Tensor, Tensor] {
    const combined = torch.cat([input, hidden], 1);
    hidden = torch.tanh(this.i2h(combined));
    let output = this.h2o(hidden);
    output = this.softmax(output);
    return [output, hidden];
  }

  initHidden(): Tensor {
    return torch.zeros(1, this.hiddenSize);
  }
}

const nHidden = 32;
const rnn = new RNN(nLetters, nHidden, nCategories);

function categoryFromOutput(output: Tensor): [string, number] {
  const { indices: topI } = output.topk(1);
  const categoryI = topI.index(0).item();
  return [allCategories[categoryI], categoryI];
}

const randomChoice = <T>(l: T[]): T => l[Math.trunc(torch.rand(1).item() * l.length)];

function randomTrainingExample(): [string, string, Tensor, Tensor] {
  const category = randomChoice(allCategories);
  const line = randomChoice(categoryLines[category]);
  const categoryTensor = torch.tensor([allCategories.indexOf(category)], { dtype: torch.long });
  const lineTensor = lineToTensor(line);
  return [category, line, categoryTensor, lineTensor];
}

const criterion = new nn.NLLLoss();
const learningRate = 0.05; // If you set this too high, it might explode. If too low, it might not learn

function train(categoryTensor: Tensor, lineTensor: Tensor): [Tensor, number] {
  let hidden = rnn.initHidden();

  rnn.zeroGrad();

  let output!: Tensor;
  for (let i = 0; i < lineTensor.size()[0]; i++) [output, hidden] = rnn(lineTensor.index(i), hidden);

  const loss = criterion(output, categoryTensor);
  loss.backward();

  // Add parameters' gradients to their values, multiplied by learning rate
  for (const p of rnn.parameters()) p.data.add_(p.grad!.data, { alpha: -learningRate });

  return [output, loss.item()];
}

const nIters = 60;
const printEvery = 12;
for (let iter = 1; iter < nIters + 1; iter++) {
  const [category, line, categoryTensor, lineTensor] = randomTrainingExample();
  const [output, loss] = train(categoryTensor, lineTensor);
  losses.push(loss);
  if (iter % printEvery === 0) {
    const [guess] = categoryFromOutput(output);
    const correct = guess === category ? "✓" : `✗ (${category})`;
    print(`${iter} ${format(loss, ".2f")} ${line} / ${guess} ${correct}`);
  }
}

function evaluate(lineTensor: Tensor): Tensor {
  let hidden = rnn.initHidden();
  let output!: Tensor;
  for (let i = 0; i < lineTensor.size()[0]; i++) [output, hidden] = rnn(lineTensor.index(i), hidden);
  return output;
}

const confusion = torch.zeros(nCategories, nCategories);
for (const [categoryI, category] of allCategories.entries())
  for (const line of categoryLines[category]) {
    const [, guessI] = categoryFromOutput(evaluate(lineToTensor(line)));
    confusion.index(categoryI).index(guessI).add_(1);
  }
for (let i = 0; i < nCategories; i++)
  confusion.indexPut_([i], confusion.index(i).div(confusion.index(i).sum()));
print(confusion);

function predict(inputLine: string, nPredictions = 3): void {
  print(`\n> ${inputLine}`);
  torch.noGrad(() => {
    const output = evaluate(lineToTensor(inputLine));
    const { values: topv, indices: topi } = output.topk(nPredictions, 1, true);
    for (let i = 0; i < nPredictions; i++) {
      const value = topv.index(0).index(i).item();
      const categoryIndex = topi.index(0).index(i).item();
      print(`(${format(value, ".2f")}) ${allCategories[categoryIndex]}`);
    }
  });
}

predict("Rossini");
predict("Yamada");
export const checks = { confusion: confusion.flatten().tolist() };
