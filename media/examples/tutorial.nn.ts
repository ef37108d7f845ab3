// The first network of a PyTorch tutorial, line for line: a hand-written training loop, then saving and loading
import { torch, nn, optim, format, print, type Tensor } from "layerwise";

class SimpleNN extends nn.Module {
  fc1: nn.Linear;
  relu: nn.ReLU;
  fc2: nn.Linear;

  constructor(inputSize: number, hiddenSize: number, outputSize: number) {
    super();
    this.fc1 = new nn.Linear(inputSize, hiddenSize);
    this.relu = new nn.ReLU();
    this.fc2 = new nn.Linear(hiddenSize, outputSize);
  }

  forward(x: Tensor): Tensor {
    x = this.fc1(x);
    x = this.relu(x);
    return this.fc2(x);
  }
}

torch.manualSeed(0);

// A network of 10 inputs, 5 hidden units and 2 classes
const model = new SimpleNN(10, 5, 2);
print(model);

const criterion = new nn.CrossEntropyLoss();
const optimizer = new optim.Adam(model.parameters(), { lr: 0.001 });

// Synthetic data: 100 samples of 10 numbers, each with a class
const X = torch.randn(100, 10);
const y = torch.randint(0, 2, [100]);

const epochs = 100;
for (let epoch = 0; epoch < epochs; epoch++) {
  model.train();

  optimizer.zeroGrad();
  const outputs = model(X);
  const loss = criterion(outputs, y);
  loss.backward();
  optimizer.step();

  if ((epoch + 1) % 10 === 0) {
    print(`Epoch [${epoch + 1}/${epochs}], Loss: ${format(loss, ".4f")}`);
  }
}

// Predictions for five new samples
model.eval();
const newData = torch.randn(5, 10);
const predicted = torch.noGrad(() => torch.argmax(model(newData), 1));
print("Predicted labels:", predicted);

// Save the weights, and load them into a second network with other initial weights
torch.save(model.stateDict(), "simple_nn.safetensors");
const loaded = new SimpleNN(10, 5, 2);
print(loaded.loadStateDict(torch.load("simple_nn.safetensors")));
loaded.eval();
print(
  "Reloaded labels: ",
  torch.noGrad(() => torch.argmax(loaded(newData), 1)),
);
