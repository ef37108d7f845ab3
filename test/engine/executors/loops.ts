// Training loops of many kinds of models, to be compiled.
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";

export interface Loop {
  model: nn.Module;
  step(): Tensor;
}

export function supervised(model: nn.Layer, optimizer: optim.Optimizer, x: Tensor, y: Tensor): Loop {
  const criterion = new nn.CrossEntropyLoss();
  return {
    model,
    step() {
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    },
  };
}

/** Classes of token sequences, by an encoder's mean. */
export class TransformerClassifier extends nn.Module {
  embedding = new nn.Embedding(20, 8, { paddingIdx: 0 });
  encoder = new nn.TransformerEncoder(
    new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true }),
    2,
  );
  fc = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    const srcKeyPaddingMask = x.eq(0);
    return this.fc(this.encoder(this.embedding(x), { srcKeyPaddingMask }).mean(1));
  }
}

/** Classes of token sequences, by BERT. */
class BertClassifier extends nn.Module {
  bert = new nn.BertModel({
    vocabSize: 20,
    hiddenSize: 8,
    numHiddenLayers: 2,
    numAttentionHeads: 2,
    intermediateSize: 12,
    maxPositionEmbeddings: 9,
  });
  fc = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    return this.fc(this.bert(x, { attentionMask: x.ne(0) }).poolerOutput);
  }
}

/** Classes of token sequences, by a decoder that looks back only. */
class Seq2Seq extends nn.Module {
  embedding = new nn.Embedding(20, 8);
  transformer = new nn.Transformer({
    dModel: 8,
    nhead: 2,
    numEncoderLayers: 1,
    numDecoderLayers: 1,
    dimFeedforward: 16,
    batchFirst: true,
  });
  fc = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    const y = this.embedding(x);
    const tgtMask = nn.Transformer.generateSquareSubsequentMask(y.size(1));
    return this.fc(this.transformer(y, y, { tgtMask, tgtIsCausal: true }).select(1, -1));
  }
}

interface Recurrent extends nn.Module {
  readonly hiddenSize: number;
  readonly bidirectional: boolean;
  forward(x: Tensor): [output: Tensor, state: unknown];
}

/** Regression on the last output of a recurrent layer that reads [batch, steps, 3]. */
function recurrent(seed: number, steps: number, make: () => Recurrent): Loop {
  class Forecaster extends nn.Module {
    layer = make();
    head = new nn.Linear(this.layer.hiddenSize * (this.layer.bidirectional ? 2 : 1), 1);

    forward(x: Tensor): Tensor {
      const [y] = this.layer(x);
      return this.head(y.select(1, -1));
    }
  }
  torch.manualSeed(seed);
  const model = new Forecaster();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  const criterion = new nn.MSELoss();
  const [x, y] = [torch.randn(4, steps, 3), torch.randn(4, 1)];
  return {
    model,
    step() {
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    },
  };
}

export const LOOPS: Record<string, () => Loop> = {
  RNN: () => recurrent(10, 5, () => new nn.RNN(3, 5, { batchFirst: true })),
  LSTM: () => recurrent(11, 5, () => new nn.LSTM(3, 5, { batchFirst: true })),
  "LSTM, large": () => recurrent(12, 4, () => new nn.LSTM(3, 64, { batchFirst: true })),
  "LSTM in both directions": () =>
    recurrent(13, 4, () => new nn.LSTM(3, 8, { batchFirst: true, bidirectional: true })),
  "GRU of two layers with dropout": () =>
    recurrent(14, 5, () => new nn.GRU(3, 5, { numLayers: 2, dropout: 0.4, batchFirst: true })),
  "GRU of many steps": () => recurrent(15, 120, () => new nn.GRU(3, 4, { batchFirst: true })),
  "MLP, SGD"() {
    torch.manualSeed(1);
    const model = new nn.Sequential(new nn.Linear(20, 16), new nn.Tanh(), new nn.Linear(16, 4));
    return supervised(
      model,
      new optim.SGD(model.parameters(), { lr: 0.1 }),
      torch.randn(8, 20),
      torch.randint(0, 4, [8]),
    );
  },
  "MLP, SGD with momentum"() {
    torch.manualSeed(2);
    const model = new nn.Sequential(new nn.Linear(20, 16), new nn.Tanh(), new nn.Linear(16, 4));
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true });
    return supervised(model, optimizer, torch.randn(8, 20), torch.randint(0, 4, [8]));
  },
  "CNN with dropout, Adam"() {
    torch.manualSeed(3);
    const model = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1 }),
      new nn.Tanh(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(4, 6, 3),
      new nn.ReLU(),
      new nn.Flatten(),
      new nn.Dropout(0.3),
      new nn.Linear(6 * 2 * 2, 3),
    );
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randn(5, 1, 8, 8), torch.randint(0, 3, [5]));
  },
  "CNN with running statistics, SGD"() {
    torch.manualSeed(10);
    const model = new nn.Sequential(
      new nn.Conv2d(2, 4, 3, { padding: 1, bias: false }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.Conv2d(4, 4, 3, { bias: false }),
      new nn.InstanceNorm2d(4, { affine: true, trackRunningStats: true }),
      new nn.ReLU(),
      new nn.GroupNorm(2, 4),
      new nn.Flatten(),
      new nn.Linear(4 * 4 * 4, 5, { bias: false }),
      new nn.BatchNorm1d(5, { momentum: null }),
      new nn.Tanh(),
      new nn.Linear(5, 3),
    );
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    return supervised(model, optimizer, torch.randn(6, 2, 6, 6), torch.randint(0, 3, [6]));
  },
  "words with layer norm, Adam"() {
    torch.manualSeed(11);
    const model = new nn.Sequential(
      new nn.Embedding(12, 6, { paddingIdx: 0, scaleGradByFreq: true, maxNorm: 2 }),
      new nn.LayerNorm(6),
      new nn.Tanh(),
      new nn.RMSNorm(6),
      new nn.Flatten(),
      new nn.Linear(5 * 6, 3),
    );
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randint(0, 12, [4, 5]), torch.randint(0, 3, [4]));
  },
  "transformer encoder with dropout, Adam"() {
    torch.manualSeed(21);
    const model = new TransformerClassifier();
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randint(0, 20, [5, 7]), torch.randint(0, 3, [5]));
  },
  "BERT, AdamW"() {
    torch.manualSeed(22);
    const model = new BertClassifier();
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randint(0, 20, [5, 7]), torch.randint(0, 3, [5]));
  },
  "encoder and decoder, SGD"() {
    torch.manualSeed(23);
    const model = new Seq2Seq();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
    return supervised(model, optimizer, torch.randint(0, 20, [5, 7]), torch.randint(0, 3, [5]));
  },
  "autoencoder, MSE"() {
    torch.manualSeed(4);
    const model = new nn.Sequential(
      new nn.Linear(12, 5),
      new nn.Sigmoid(),
      new nn.Linear(5, 12),
      new nn.Sigmoid(),
    );
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    const x = torch.rand(7, 12);
    const criterion = new nn.MSELoss();
    return {
      model,
      step() {
        optimizer.zeroGrad();
        const loss = criterion(model(x), x);
        loss.backward();
        optimizer.step();
        return loss;
      },
    };
  },
};
