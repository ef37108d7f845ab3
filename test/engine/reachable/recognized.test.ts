// Graphs that were named before are recognized as they are recorded: naming one takes longer than computing a small one.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";

const native = nativeStatus().state === "installed";

/** How many graphs the seventh round names: those of the first rounds also compute initial values, or have no experience yet. */
function namedInSeventhRound(round: () => void): number {
  for (let i = 0; i < 6; i++) round();
  const learn = vi.spyOn(runtime.trace, "learn");
  try {
    round();
    return learn.mock.calls.length;
  } finally {
    learn.mockRestore();
  }
}

describe.each(native ? (["native", "cpu"] as const) : (["cpu"] as const))(
  "graphs that were named before, on %s",
  (device) => {
    beforeAll(async () => void (await loadExecutor(device)));
    afterAll(() => setExecutor(undefined));

    it("of a cache that grows by a token, for each of its lengths", () => {
      const embedding = new nn.Embedding(9, 4);
      const mask = torch.ones(32, 32).tril();
      const answers: number[] = [];
      const round = (): void =>
        torch.noGrad(() => {
          let keys = embedding(torch.tensor([0]));
          for (let token = 1; token < 30; token++) {
            const q = embedding(torch.tensor([token % 9]));
            keys = torch.cat([keys, q]);
            const n = keys.size(0);
            const scores = q.matmul(keys.T).maskedFill(mask.index(`${n - 1}:${n}`, `:${n}`).eq(0), -Infinity);
            answers.push(scores.softmax(-1).matmul(keys).sum().item());
          }
        });
      expect(namedInSeventhRound(round)).toBe(0);
      expect(answers.slice(6 * 29)).toEqual(answers.slice(0, 29));
    });

    it("that use what was recorded before a value was read", () => {
      const w = new nn.Parameter(torch.tensor([0.5, -1, 2]));
      const answers: number[] = [];
      const round = (): void => {
        const x = torch.tensor([1, 2, 3]);
        const scaled = w.detach().mul(x.add(1));
        const part = scaled.abs().sqrt();
        // Neither of these needs the root.
        if (scaled.sum().item() > 0) answers.push(scaled.max().item());
        answers.push(part.sum().item(), part.mul(scaled).prod().item());
      };
      expect(namedInSeventhRound(round)).toBe(0);
      expect(answers.slice(6 * 3)).toEqual(answers.slice(0, 3));
    });

    it("that differ in an earlier graph alone", () => {
      const w = new nn.Parameter(torch.tensor([0.5, -1, 2]));
      const answers: number[] = [];
      const round = (): void => {
        for (const f of [torch.sin, torch.cos, torch.tanh]) {
          const hidden = f(w.detach()).mul(2);
          w.detach().sum().item();
          answers.push(hidden.sum().item());
        }
      };
      expect(namedInSeventhRound(round)).toBe(0);
      const expected = [Math.sin, Math.cos, Math.tanh].map((f) => 2 * (f(0.5) + f(-1) + f(2)));
      answers.forEach((answer, i) => expect(answer).toBeCloseTo(expected[i % 3]!, 5));
    });

    it("and told apart where each leaves other values unread", () => {
      const w = new nn.Parameter(torch.tensor([0.5, -1, 2]));
      const kinds = [
        [torch.sin, Math.sin],
        [torch.cos, Math.cos],
        [torch.tanh, Math.tanh],
        [torch.exp, Math.exp],
      ] as const;
      let random = 1;
      const next = (n: number): number => (random = (random * 48_271) % 2_147_483_647) % n;
      for (let i = 0; i < 600; i++) {
        const chosen = Array.from({ length: 3 }, () => kinds[next(kinds.length)]!);
        const values = chosen.map(([f]) => f(w.detach().index(":2")));
        const read = next(3);
        const [, expected] = chosen[read]!;
        expect(values[read]!.sum().item()).toBeCloseTo(expected(0.5) + expected(-1), 5);
      }
    });

    it("whose gradients are more than a number has bits", () => {
      const model = new nn.Sequential(...Array.from({ length: 20 }, () => new nn.Linear(3, 3)));
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
      const x = torch.ones(2, 3);
      const losses: number[] = [];
      const round = (): void => {
        const loss: Tensor = F.mseLoss(model(x), x);
        optimizer.zeroGrad();
        loss.backward();
        nn.utils.clipGradNorm_(model.parameters(), 0.1);
        optimizer.step();
        losses.push(loss.item());
      };
      expect(namedInSeventhRound(round)).toBe(0);
      expect(losses[6]).toBeLessThan(losses[0]!);
    });
  },
);
