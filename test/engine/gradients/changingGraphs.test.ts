// Programs whose graphs all differ, such as those of trees, and that add up gradients of many of them for a step.
import { expect, test, vi } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";
import { MAX_GRADIENT_NODES } from "../../../extension/tensor/tuning.ts";
import { onEachEngine } from "../../engines.ts";

const TREES = 48;
const STEPS = 3;

interface Tree {
  readonly word: number;
  readonly children: readonly Tree[];
}

/** Trees of one to three children a node, hardly two of them alike. */
function treeOf(seed: number, depth: number): Tree {
  const drawn = (Math.imul(seed + 1, 1_103_515_245) + 12_345) >>> 8;
  const children = Array.from({ length: depth === 0 ? 0 : 1 + (drawn % 3) }, (_, i) =>
    treeOf(drawn + 7919 * i, depth - 1),
  );
  return { word: drawn % 7, children };
}

class Encoder extends nn.Module {
  embedding = new nn.Embedding(7, 6);
  cell = new nn.Linear(12, 6);
  gate = new nn.Linear(12, 6);
  out = new nn.Linear(6, 4);

  encode({ word, children }: Tree): Tensor {
    const x = this.embedding(torch.tensor([word]));
    const below = children.map((child) => this.encode(child));
    const sum = below.length === 0 ? torch.zeros(1, 6) : torch.cat(below).sum(0, true);
    const both = torch.cat([x, sum], 1);
    return torch.sigmoid(this.gate(both)).mul(torch.tanh(this.cell(both)));
  }

  forward(tree: Tree): Tensor {
    return this.out(this.encode(tree));
  }
}

onEachEngine((name) => {
  /**
   * @param each whether each tree has a `backward()` of its own, before which its loss is read
   * @param from seed of the first tree
   */
  function train(each: boolean, from = 0): number[] {
    torch.manualSeed(5);
    const model = new Encoder();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const numbers: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      optimizer.zeroGrad();
      let total = torch.zeros([]);
      for (let i = 0; i < TREES; i++) {
        const loss = F.crossEntropy(model(treeOf(from + step * TREES + i, 4)), torch.tensor([i % 4])).div(
          TREES,
        );
        if (each) {
          numbers.push(loss.item());
          loss.backward();
        } else total = total.add(loss);
      }
      if (!each) {
        total.backward();
        numbers.push(total.item());
      }
      numbers.push(...model.parameters().map((one) => one.grad!.square().sum().item()));
      optimizer.step();
    }
    return numbers;
  }

  test("gives the gradients of the sum of all losses", () => {
    const parameters = 7;
    const [sum, each] = [train(false), train(true)];
    for (let step = 0; step < STEPS; step++) {
      const losses = each.slice(step * (TREES + parameters)).slice(0, TREES);
      const [loss, ...gradients] = sum.slice(step * (1 + parameters)).slice(0, 1 + parameters);
      expect(losses.reduce((a, b) => a + b)).toBeCloseTo(loss!, 4);
      each
        .slice(step * (TREES + parameters) + TREES)
        .slice(0, parameters)
        .forEach((value, i) => expect(value / gradients[i]!).toBeCloseTo(1, 3));
    }
  });

  test.runIf(name === "native")("computes short graphs, and each forward once", () => {
    const run = vi.spyOn(runtime.executor!, "run");
    const nodes = (each: boolean): number[] => {
      run.mockClear();
      train(each, 1000);
      return run.mock.calls.map(([plan]) => plan.nodes.length);
    };
    const sum = nodes(false);
    const each = nodes(true);
    run.mockRestore();
    expect(Math.max(...sum)).toBeGreaterThan(3 * MAX_GRADIENT_NODES);
    expect(Math.max(...each)).toBeLessThan(2 * MAX_GRADIENT_NODES);
    // The first step has no experience yet: it computes its forwards again.
    const total = (list: readonly number[]): number => list.reduce((a, b) => a + b);
    expect(total(each) / total(sum)).toBeLessThan(1.2);
  });
});
