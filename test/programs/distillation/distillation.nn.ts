/** Knowledge distillation (Hinton et al., 2015): a small network learns from a large one's soft targets. */
import { data, F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(42);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [FEATURES, DEEP, LIGHT] = [20, 64, 16];
const [N, N_TRAIN, BATCH, EPOCHS] = [160, 128, 32, 4];

class DeepNN extends nn.Module {
  features: nn.Sequential;
  classifier: nn.Linear;

  constructor(numClasses = 4) {
    super();
    this.features = new nn.Sequential(
      new nn.Linear(FEATURES, DEEP),
      new nn.ReLU(),
      new nn.Dropout(0.1),
      new nn.Linear(DEEP, DEEP),
      new nn.ReLU(),
    );
    this.classifier = new nn.Linear(DEEP, numClasses);
  }

  forward(x: Tensor): [Tensor, Tensor] {
    const hidden = this.features(x);
    return [this.classifier(hidden), hidden];
  }
}

class LightNN extends nn.Module {
  features: nn.Sequential;
  classifier: nn.Linear;
  regressor: nn.Linear;

  constructor(numClasses = 4) {
    super();
    this.features = new nn.Sequential(new nn.Linear(FEATURES, LIGHT), new nn.ReLU());
    this.classifier = new nn.Linear(LIGHT, numClasses);
    this.regressor = new nn.Linear(LIGHT, DEEP);
  }

  forward(x: Tensor): [Tensor, Tensor] {
    const hidden = this.features(x);
    return [this.classifier(hidden), this.regressor(hidden)];
  }
}

const centres = torch.randn(4, FEATURES).mul(1.5);
const yAll = torch.randint(0, 4, [N]);
const xAll = centres.index(yAll).add(torch.randn(N, FEATURES).mul(1.5));
const trainLoader = new data.DataLoader(
  new data.TensorDataset(xAll.index(`:${N_TRAIN}`), yAll.index(`:${N_TRAIN}`)),
  {
    batchSize: BATCH,
    shuffle: true,
  },
);
const testLoader = new data.DataLoader(
  new data.TensorDataset(xAll.index(`${N_TRAIN}:`), yAll.index(`${N_TRAIN}:`)),
  {
    batchSize: BATCH,
  },
);

function train(model: DeepNN, epochs: number): void {
  const criterion = new nn.CrossEntropyLoss();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.001 });
  model.train();
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const [inputs, labels] of trainLoader) {
      optimizer.zeroGrad();
      const [outputs] = model(inputs);
      const loss = criterion(outputs, labels);
      loss.backward();
      optimizer.step();
      losses.push(loss.item());
    }
  }
}

interface Weights {
  epochs: number;
  T: number;
  softWeight: number;
  ceWeight: number;
}

function trainKnowledgeDistillation(
  teacher: DeepNN,
  student: LightNN,
  { epochs, T, softWeight, ceWeight }: Weights,
): void {
  const ceLoss = new nn.CrossEntropyLoss();
  const mseLoss = new nn.MSELoss();
  const cosineLoss = new nn.CosineEmbeddingLoss();
  const optimizer = new optim.Adam(student.parameters(), { lr: 0.005 });
  teacher.eval();
  student.train();
  for (let epoch = 0; epoch < epochs; epoch++) {
    let runningLoss = 0;
    for (const [inputs, labels] of trainLoader) {
      optimizer.zeroGrad();
      const [teacherLogits, teacherHidden] = torch.noGrad(() => teacher(inputs));
      const [studentLogits, studentHidden] = student(inputs);
      const softTargets = F.softmax(teacherLogits.div(T), { dim: -1 });
      const softProb = F.logSoftmax(studentLogits.div(T), { dim: -1 });
      const softLoss = torch
        .sum(softTargets.mul(softTargets.log().sub(softProb)))
        .div(softProb.size(0))
        .mul(T ** 2);
      let hiddenLoss = mseLoss(studentHidden, teacherHidden);
      hiddenLoss = hiddenLoss.add(cosineLoss(studentHidden, teacherHidden, torch.ones(inputs.size(0))));
      const labelLoss = ceLoss(studentLogits, labels);
      const loss = softLoss.mul(softWeight).add(labelLoss.mul(ceWeight)).add(hiddenLoss.mul(0.1));
      loss.backward();
      optimizer.step();
      runningLoss += loss.item();
      losses.push(loss.item());
    }
    print(`Epoch ${epoch + 1}/${epochs}, Loss: ${format(runningLoss / trainLoader.length, ".3f")}`);
  }
}

function test(model: DeepNN | LightNN): number {
  model.eval();
  let [correct, total] = [0, 0];
  torch.noGrad(() => {
    for (const [inputs, labels] of testLoader) {
      const [outputs] = model(inputs);
      const { indices: predicted } = torch.max(outputs.data, 1);
      total += labels.size(0);
      correct += predicted.eq(labels).sum().item();
    }
  });
  return (100 * correct) / total;
}

const teacher = new DeepNN();
train(teacher, EPOCHS);
const student = new LightNN();
trainKnowledgeDistillation(teacher, student, { epochs: EPOCHS, T: 2, softWeight: 0.25, ceWeight: 0.75 });
print(`Teacher accuracy: ${format(test(teacher), ".2f")}%`);
print(`Student accuracy: ${format(test(student), ".2f")}%`);
const totalParams = format(
  [...student.parameters()].reduce((sum, p) => sum + p.numel(), 0),
  ",",
);
print(`Student parameters: ${totalParams}`);
