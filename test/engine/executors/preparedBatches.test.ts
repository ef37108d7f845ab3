// Steps whose batches are prepared in another way each time, such as by random shifts, share one compiled graph.
import { expect, it } from "vitest";
import { F, nn, optim, torch } from "../../../extension/nn/index.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

onEachEngine((name, executor) => {
  /** @param early whether each batch is computed before its step */
  function trained(early: boolean): number[] {
    torch.manualSeed(8);
    const model = new nn.Sequential(new nn.Linear(256, 512), new nn.ReLU(), new nn.Linear(512, 4));
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const [x, y] = [torch.randn(128, 256), torch.randint(0, 4, [128])];
    const losses: number[] = [];
    for (let step = 0; step < 12; step++) {
      const batch = x.mul(0.5).roll({ shifts: [step], dims: [0] });
      const target = y.roll(step);
      if (early) batch.toTypedArray();
      const loss = F.crossEntropy(model(batch), target);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      losses.push(loss.item());
      // The user may still read what was prepared.
      if (step === 7) losses.push(batch.sum().item());
    }
    return [...losses, model.parameters()[0]!.norm().item()];
  }

  it("gives the same numbers as where each batch is computed first", () => {
    const expected = trained(true);
    trained(false).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
  });

  it.runIf(name === "native")("runs one compiled graph", () => {
    const before = executor().counters();
    withPolicy({ smallPlans: false }, () => trained(false));
    const after = executor().counters();
    expect(after["compiled"]! - before["compiled"]!).toBe(1);
    expect(after["compiledRuns"]! - before["compiledRuns"]!).toBeGreaterThan(7);
  });
});
