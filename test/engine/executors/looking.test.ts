// A debugger at a breakpoint: it inspects tensors that are not computed yet, and nothing changes.
import { afterAll, describe, expect, it } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { describeTensor, propertiesOf } from "../../../extension/tensor/core/debug.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";

const STEPS = 6;

class Net extends nn.Module {
  conv = new nn.Conv2d(1, 4, 3, { padding: 1 });
  norm = new nn.BatchNorm2d(4);
  dropout = new nn.Dropout(0.3);
  fc = new nn.Linear(4 * 16, 3);
  readonly look: (x: Tensor) => void;

  constructor(look: (x: Tensor) => void) {
    super();
    this.look = look;
  }

  forward(x: Tensor): Tensor {
    this.look(x);
    x = this.norm(this.conv(x));
    this.look(x);
    x = this.dropout(x.relu()).flatten(1);
    this.look(x);
    this.look(this.fc.weight);
    x = this.fc(x);
    this.look(x);
    return x;
  }
}

/** Losses and weights of a training, observed or not. */
function train(look: (x: Tensor) => void): number[][] {
  torch.manualSeed(3);
  const model = new Net(look);
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  const criterion = new nn.CrossEntropyLoss();
  const [x, y] = [torch.randn(8, 1, 4, 4), torch.randint(0, 3, [8])];
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    optimizer.zeroGrad();
    const loss = criterion(model(x), y);
    look(loss);
    loss.backward();
    optimizer.step();
    look(model.norm.runningMean!);
    losses.push(loss.item());
  }
  return [
    losses,
    ...model.parameters().map((parameter) => [...parameter.toTypedArray()]),
    [torch.rand(1).item()],
  ];
}

const devices = nativeStatus().state === "installed" ? (["cpu", "native"] as const) : (["cpu"] as const);

describe.each(devices)("on %s", (device) => {
  afterAll(() => setExecutor(undefined));

  it("observing a training doesn't change its numbers, and shows the right ones", async () => {
    await loadExecutor(device);
    const plain = train(() => undefined);
    // A new executor, which has compiled nothing yet.
    await loadExecutor(device);
    let [seen, missing] = [0, 0];
    const looked = train((x) => {
      if (propertiesOf(x).values === "not computed here") missing++;
      else seen++;
    });
    expect(looked).toEqual(plain);
    expect([seen, missing]).toEqual([STEPS * 7, 0]);
  });

  it("shape, numbers and values are those of the tensor", async () => {
    await loadExecutor(device);
    const x = torch
      .tensor([
        [1, -2, 0],
        [NaN, Infinity, 4],
      ])
      .mul(2);
    expect(describeTensor(x)).toBe("Tensor float32 [2, 3]");
    const properties = propertiesOf(x);
    expect(properties).toMatchObject({ min: -4, max: 8, mean: 1.5, zeros: 1, nan: 1, infinite: 1 });
    expect(properties.std).toBeCloseTo(Math.sqrt((0.25 + 30.25 + 2.25 + 42.25) / 4), 12);
    expect(properties.values).toEqual([Float32Array.of(2, -4, 0), Float32Array.of(NaN, Infinity, 8)]);
    const cube = propertiesOf(torch.arange(24).view(2, 3, 4)).values as Int32Array[][];
    expect(cube[1]![2]).toEqual(Int32Array.of(20, 21, 22, 23));
    const one = torch.tensor(2.5).mul(2);
    expect([describeTensor(one), one.item(), describeTensor(one)]).toEqual([
      "Tensor float32 []",
      5,
      "Tensor float32 [] = 5",
    ]);
    expect(describeTensor(new nn.Linear(2, 1).weight)).toBe("Parameter float32 [1, 2]");
  });
});
