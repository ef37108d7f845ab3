// What a debugger shows of gradients, while steps repeat each other and their backward() need not be recorded.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { library } from "../../../extension/engine/host/library.ts";
import { loadUserModule } from "../../../extension/engine/host/userModule.ts";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { Tensor } from "../../../extension/nn/index.ts";
import { propertiesOf } from "../../../extension/tensor/core/debug.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";

const PROGRAM = `import { nn, optim, torch, type Tensor } from "layerwise";
declare const look: (gradient: Tensor) => void;
torch.manualSeed(1);
const layer = new nn.Linear(3, 2);
const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
const x = torch.randn(4, 3);
for (let i = 0; i < 10; i++) {
  optimizer.zeroGrad();
  const loss = layer(x).square().mean();
  loss.backward();
  look(layer.bias!.grad!);
  optimizer.step();
  loss.item();
}
`;

describe.skipIf(nativeStatus().state !== "installed")("a debugged program", () => {
  beforeAll(async () => {
    await loadExecutor("native");
  });
  afterAll(() => {
    Reflect.deleteProperty(globalThis, "look");
    setExecutor(undefined);
  });

  it("shows the gradients of each step before it is taken", async () => {
    const seen = async (look: (gradient: Tensor) => unknown): Promise<unknown[]> => {
      const all: unknown[] = [];
      Object.assign(globalThis, { look: (gradient: Tensor) => void all.push(look(gradient)) });
      await loadUserModule("/models/debugged.nn.ts", { library, text: PROGRAM });
      return all;
    };
    const shown = await seen((gradient) => propertiesOf(gradient).values);
    expect(shown).toHaveLength(10);
    const read = await seen((gradient) => gradient.tolist());
    shown.forEach((values, i) =>
      (values as number[]).forEach((value, k) => expect(value).toBeCloseTo((read[i] as number[])[k]!, 5)),
    );
  });
});
