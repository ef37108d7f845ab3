// The models of test/fixtures/summary/make.py, by name.
import { nn, torch, type Tensor } from "layerwise";

class Nested extends nn.Module {
  body = new nn.Sequential(
    new nn.Sequential(new nn.Linear(8, 8), new nn.Sequential(new nn.Linear(8, 8), new nn.Tanh())),
    new nn.ReLU(),
  );
  blocks = new nn.ModuleList([
    new nn.Linear(8, 8),
    new nn.Sequential(new nn.Linear(8, 4), new nn.ReLU()),
  ] as const);
  unused = new nn.Linear(3, 3);
  scale = new nn.Parameter(torch.ones(4));

  forward(x: Tensor): Tensor {
    x = this.body(x);
    for (const block of this.blocks) x = block(x);
    return x.mul(this.scale);
  }
}

class Recursive extends nn.Module {
  first = new nn.Linear(6, 6);
  again = this.first;
  last = new nn.Sequential(new nn.ReLU(), new nn.Linear(6, 2));

  forward(x: Tensor): Tensor {
    return this.last(this.again(this.first(this.first(x))));
  }
}

class Frozen extends nn.Module {
  features = new nn.Sequential(
    new nn.Conv1d(2, 4, 3),
    new nn.ReLU(),
    new nn.Conv1d(4, 8, 3, { stride: 2, bias: false }),
  );
  head = new nn.Linear(8, 3);

  constructor() {
    super();
    this.features.requiresGrad_(false);
    this.head.bias!.requiresGrad_(false);
  }

  forward(x: Tensor): Tensor {
    return this.head(this.features(x).mean(-1));
  }
}

class TwoInputs extends nn.Module {
  left = new nn.Linear(4, 3);
  right = new nn.Linear(5, 3);

  forward(a: Tensor, b: Tensor): [Tensor, Tensor] {
    return [this.left(a).add(this.right(b)), this.left(a)];
  }
}

class Tied extends nn.Module {
  into = new nn.Linear(4, 4, { bias: false });
  out = new nn.Linear(4, 4, { bias: false });

  constructor() {
    super();
    this.out.weight = this.into.weight;
  }

  forward(x: Tensor): Tensor {
    return this.out(this.into(x));
  }
}

class Sequence extends nn.Module {
  embedding = new nn.Embedding(20, 8, { paddingIdx: 0 });
  lstm = new nn.LSTM(8, 16, { numLayers: 2, bidirectional: true, batchFirst: true });
  fc = new nn.Linear(32, 3);

  forward(ids: Tensor): Tensor {
    const [out] = this.lstm(this.embedding(ids));
    return this.fc(out);
  }
}

class Normed extends nn.Module {
  conv = new nn.Conv2d(3, 4, 3, { padding: 1, bias: false });
  bn = new nn.BatchNorm2d(4);
  ln = new nn.LayerNorm(6);
  gru = new nn.GRU(6, 5);
  up = new nn.ConvTranspose2d(4, 2, 2, { stride: 2 });

  forward(x: Tensor): [Tensor, Tensor, Tensor] {
    const y = this.bn(this.conv(x));
    const [out, h] = this.gru(this.ln(y.flatten(0, 2)).unsqueeze(1));
    return [this.up(y), out, h];
  }
}

class Attention extends nn.Module {
  attention = new nn.MultiheadAttention(8, 2, { batchFirst: true });
  layer = new nn.TransformerDecoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true, activation: "gelu" });

  forward(x: Tensor, memory: Tensor): Tensor {
    const [y] = this.attention(x, memory, memory);
    return this.layer(y, memory);
  }
}

export const MODELS: Readonly<Record<string, () => InstanceType<typeof nn.Module>>> = {
  mlp: () => new nn.Sequential(new nn.Linear(10, 5), new nn.ReLU(), new nn.Linear(5, 2)),
  cnn: () =>
    new nn.Sequential(
      new nn.Conv2d(1, 16, 3, { padding: 1 }),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(16, 32, [3, 1], { groups: 2 }),
      new nn.AvgPool2d(2),
      new nn.Flatten(),
      new nn.Dropout(0.5),
      new nn.Linear(64, 10),
    ),
  wide: () => new nn.Sequential(new nn.Linear(1000, 20000), new nn.ReLU(), new nn.Linear(20000, 1000)),
  nested: () => new Nested(),
  recursive: () => new Recursive(),
  frozen: () => new Frozen(),
  twoInputs: () => new TwoInputs(),
  tied: () => new Tied(),
  sequence: () => new Sequence(),
  normed: () => new Normed(),
  attention: () => new Attention(),
  parameterless: () => new nn.Sequential(new nn.ReLU(), new nn.Flatten()),
};
