import { experiment, nn, optim, torch, type Tensor } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export class TextClassifier extends nn.Module {
  embedding = new nn.Embedding(1000, 128);
  position = new nn.Embedding(64, 128);
  encoder = new nn.TransformerEncoder(
    new nn.TransformerEncoderLayer(128, 4, { dimFeedforward: 512, dropout: 0, batchFirst: true }),
    2,
  );
  fc = new nn.Linear(128, 4);

  forward(x: Tensor): Tensor {
    const embedded = this.embedding(x).add(this.position(torch.arange(64)));
    return this.fc(this.encoder(embedded).mean(1));
  }
}

export default experiment({
  ...SETTINGS,
  model: () => new TextClassifier(),
  data: () => repeated(torch.randint(0, 1000, [16, 64]), torch.randint(0, 4, [16])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
});
