// Names of dimensions: what a layer's definition says of them, kept by ops that keep them, and never a guess.
import { expect, test } from "vitest";
import { ModelObserver } from "../../../extension/engine/preview/modelSummary.ts";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

/** The axes of what each module gives, by its path. */
async function axesIn(model: nn.Module, ...input: unknown[]): Promise<Record<string, string | undefined>> {
  const observer = new ModelObserver(model);
  await observer.watch(() => (model as unknown as (...args: unknown[]) => unknown)(...input));
  const { rows } = observer.summary(undefined, undefined);
  return Object.fromEntries(rows.map(({ path, outputAxes }) => [path, outputAxes]));
}

class Convolutional extends nn.Module {
  conv = new nn.Conv2d(1, 4, 3);
  norm = new nn.BatchNorm2d(4);
  relu = new nn.ReLU();
  skip = new nn.Identity();
  flatten = new nn.Flatten();
  fc = new nn.Linear(144, 2);

  forward(x: Tensor): Tensor {
    const y = this.relu(this.norm(this.conv(x)));
    return this.fc(this.flatten(this.skip(y.add(F.gelu(y)))));
  }
}

test("convolutions name theirs, and what is computed element by element keeps them", async () => {
  const image = "[batch, channels, height, width]";
  expect(await axesIn(new Convolutional(), torch.zeros(2, 1, 8, 8))).toEqual({
    "": "[batch, features]",
    conv: image,
    norm: image,
    relu: image,
    skip: image,
    flatten: "[batch, features]",
    fc: "[batch, features]",
  });
  const one = await axesIn(new nn.Sequential(new nn.Conv1d(3, 4, 1)), torch.zeros(3, 8));
  expect(one["0"]).toBe("[channels, length]");
});

class Sequences extends nn.Module {
  lstm: nn.LSTM;
  attention: nn.MultiheadAttention;
  fc = new nn.Linear(4, 3);

  constructor(batchFirst: boolean) {
    super();
    this.lstm = new nn.LSTM(4, 4, { batchFirst });
    this.attention = new nn.MultiheadAttention(4, 2, { batchFirst });
  }

  forward(x: Tensor): Tensor {
    const [y] = this.lstm(x);
    const [z] = this.attention(y, y, y);
    return this.fc(z.transpose(0, 1));
  }
}

test.each([
  [true, "batch, sequence", "sequence, batch"],
  [false, "sequence, batch", "batch, sequence"],
])(
  "with batchFirst %s the batch comes where it is said, and a transpose moves it",
  async (batchFirst, order, turned) => {
    const axes = await axesIn(new Sequences(batchFirst), torch.zeros(2, 5, 4));
    expect(axes["lstm"]).toContain(`[${order}, features]`);
    expect(axes["attention"]).toContain(`[${order}, features]`);
    expect(axes["fc"]).toBe(`[${turned}, features]`);
  },
);

class Turned extends nn.Conv2d {
  override forward(x: Tensor): Tensor {
    return super.forward(x).permute(0, 2, 3, 1).contiguous().view(1, 2, 2, 2);
  }
}

test("what isn't known has no name: a layer of one's own, a reshape, axes that disagree", async () => {
  expect(await axesIn(new nn.Sequential(new Turned(1, 2, 1)), torch.zeros(1, 1, 2, 2))).toEqual({
    "": undefined,
    "0": undefined,
  });
  class Mixed extends nn.Module {
    conv = new nn.Conv2d(1, 2, 1);
    own = new nn.Identity();
    folded = new nn.Identity();

    forward(x: Tensor): Tensor {
      const y = this.conv(x);
      this.folded(y.reshape(2, 2, 2));
      return this.own(y.add(y.permute(0, 1, 3, 2)));
    }
  }
  expect(await axesIn(new Mixed(), torch.zeros(1, 1, 2, 2))).toMatchObject({
    conv: "[batch, channels, height, width]",
    own: "[batch, channels, ·, ·]",
    folded: undefined,
  });
  const linear = await axesIn(new nn.Sequential(new nn.Linear(4, 2)), torch.zeros(3, 4));
  expect(linear["0"]).toBe("[·, features]");
});
