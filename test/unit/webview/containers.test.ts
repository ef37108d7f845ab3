// Which containers of a model are boxes of its diagram, and what it takes to lay them out.
import ELK from "elkjs/lib/elk.bundled.js";
import { describe, expect, test } from "vitest";
import { F, nn, torch, type Tensor } from "layerwise";
import { arranged } from "../../../extension/diagram/containers.ts";
import { allShown, shownFlow, type ShownFlow } from "../../../extension/diagram/flow.ts";
import { elkGraph, layoutOf, positionsOf } from "../../../extension/diagram/layout.ts";
import { ModelObserver } from "../../../extension/engine/preview/modelSummary.ts";
import type { SummaryRow } from "../../../extension/protocol/preview.ts";

type Layer = nn.Module & ((x: Tensor) => Tensor);
const linears = (count: number): nn.Linear[] => Array.from({ length: count }, () => new nn.Linear(4, 4));

async function observed(model: nn.Module, ...inputs: unknown[]) {
  const observer = new ModelObserver(model);
  await observer.watch(() => (model as unknown as (...inputs: unknown[]) => unknown)(...inputs));
  const { flow, rows } = observer.summary(undefined, undefined);
  const byPath = new Map(rows.map((row: SummaryRow) => [row.path, row]));
  return { flow: arranged(flow!, byPath), rows: byPath };
}

/** The flow with all containers but the named ones open. */
async function shown(model: nn.Module, input: unknown, closed: string[] = []): Promise<ShownFlow> {
  const { flow, rows } = await observed(model, input);
  const opened = new Set(flow.nodes.flatMap(({ parent }) => parent ?? []));
  return shownFlow(
    flow,
    { opened, closed: new Set(closed), unfolded: new Set() },
    (path) => rows.get(path)?.detail ?? "",
  );
}

const x = (): Tensor => torch.zeros([2, 4]);
const names = ({ boxes }: ShownFlow): string[] =>
  allShown(boxes).map(({ id, node }) => `${"  ".repeat(id.split("/").length - 1)}${node.name}`);

/** Whether no visible edge leads back to where its way began. */
function isAcyclic({ edges }: Pick<ShownFlow, "edges">): boolean {
  const waiting = new Map<string, number>();
  for (const { from, to } of edges) {
    waiting.set(from, waiting.get(from) ?? 0);
    waiting.set(to, (waiting.get(to) ?? 0) + 1);
  }
  const free = [...waiting].filter(([, count]) => count === 0).map(([id]) => id);
  for (const id of free) {
    for (const { from, to } of edges) {
      if (from !== id) continue;
      const left = waiting.get(to)! - 1;
      waiting.set(to, left);
      if (left === 0) free.push(to);
    }
  }
  return free.length === waiting.size;
}

/** Functions between the layers of a list. */
class Loop extends nn.Module {
  layers: nn.ModuleList<nn.Linear>;
  constructor(count = 3) {
    super();
    this.layers = new nn.ModuleList(linears(count));
  }
  forward(x: Tensor): Tensor {
    for (const layer of this.layers) x = F.relu(layer(x));
    return x;
  }
}

class SharedActivation extends nn.Module {
  layers = new nn.ModuleList(linears(2));
  act = new nn.ReLU();
  dropout = new nn.Dropout(0.1);
  head = new nn.Linear(4, 2);
  forward(x: Tensor): Tensor {
    for (const layer of this.layers) x = this.dropout(this.act(layer(x)));
    return this.head(x);
  }
}

/** Two lists by turns: neither can be a box around the other's children. */
class Turns extends nn.Module {
  convs = new nn.ModuleList(linears(2));
  norms = new nn.ModuleList(linears(2));
  forward(x: Tensor): Tensor {
    for (const [i, conv] of [...this.convs].entries())
      x = F.relu((this.norms.at(i) as Layer)((conv as Layer)(x)));
    return x;
  }
}

class Residual extends nn.Module {
  blocks = new nn.ModuleList(linears(3));
  forward(x: Tensor): Tensor {
    for (const block of this.blocks) x = x.add(block(x));
    return x;
  }
}

class Nested extends nn.Module {
  stages = new nn.ModuleList([new nn.ModuleList(linears(2)), new nn.ModuleList(linears(2))]);
  forward(x: Tensor): Tensor {
    for (const stage of this.stages) for (const layer of stage as Iterable<Layer>) x = layer(x).tanh();
    return x;
  }
}

class OneByOne extends nn.Module {
  features = new nn.Sequential(...linears(2));
  forward(x: Tensor): Tensor {
    x = (this.features.at(0) as Layer)(x).relu();
    return (this.features.at(1) as Layer)(x);
  }
}

/** Branches that cross: each list alone could be a box, but not both. */
class Crossing extends nn.Module {
  a = new nn.ModuleList(linears(2));
  b = new nn.ModuleList(linears(2));
  forward(x: Tensor): Tensor {
    const first = (this.b.at(0) as Layer)((this.a.at(0) as Layer)(x));
    return first.add((this.a.at(1) as Layer)((this.b.at(1) as Layer)(x)));
  }
}

/** A child called from outside before its parent. */
class FromOutside extends nn.Module {
  inner = new Loop(2);
  middle = new nn.Linear(4, 4);
  forward(x: Tensor): Tensor {
    return this.inner(this.middle((this.inner.layers.at(0) as Layer)(x)));
  }
}

class Shared extends nn.Module {
  cell = new nn.Linear(4, 4);
  times: number;
  constructor(times: number) {
    super();
    this.times = times;
  }
  forward(x: Tensor): Tensor {
    for (let i = 0; i < this.times; i++) x = this.cell(x).tanh();
    return x;
  }
}

/** Layers of different sizes, so that none fold. */
class Deep extends nn.Module {
  layers = new nn.ModuleDict(
    Object.fromEntries(
      Array.from({ length: 300 }, (_none, i) => [
        `layer_${i}`,
        new nn.Linear(4 + (i % 7), 4 + ((i + 1) % 7)),
      ]),
    ),
  );
  head = new nn.Linear(4 + (300 % 7), 4);
  forward(x: Tensor): Tensor {
    for (const [i, layer] of [...this.layers.values()].entries())
      x = i % 2 === 0 ? (layer as Layer)(x).relu() : (layer as Layer)(x).tanh();
    return this.head(x);
  }
}
class DeepTurns extends nn.Module {
  layers = new nn.ModuleList(
    Array.from({ length: 300 }, (_none, i) => new nn.Linear(4 + (i % 7), 4 + ((i + 1) % 7))),
  );
  norms = new nn.ModuleList(Array.from({ length: 300 }, (_none, i) => new nn.LayerNorm(4 + ((i + 1) % 7))));
  forward(x: Tensor): Tensor {
    for (const [i, layer] of [...this.layers].entries())
      x = F.relu((this.norms.at(i) as Layer)((layer as Layer)(x)));
    return x;
  }
}

class ByName extends nn.Module {
  image = new nn.Linear(4, 4);
  forward({ image, text }: { image: Tensor; text: Tensor }): object {
    const h = this.image(image);
    return { logits: h.add(text), aux: [h, [text.relu()]] };
  }
}

test("inputs and outputs have the names of their fields", async () => {
  const { flow } = await observed(new ByName(), { image: x(), text: x() });
  const named = (kind: string): string[] =>
    flow.nodes.flatMap((node) => (node.kind === kind ? node.name : []));
  expect(named("input")).toEqual(["image", "text"]);
  expect(named("output")).toEqual(["logits", "aux.0", "aux.1.0"]);
});

describe("containers", () => {
  test("functions between the layers of a list are in its box", async () => {
    const open = await shown(new Loop(), x());
    expect(names(open)).toEqual([
      "input",
      "layers",
      "  0",
      "  relu",
      "  1",
      "  relu",
      "  2",
      "relu",
      "output",
    ]);
    const closed = await shown(new Loop(), x(), ["layers"]);
    expect(closed.edges.map(({ from, to }) => `${from} > ${to}`)).toEqual([
      "~input > layers",
      "layers > ~relu#3",
      "~relu#3 > ~output",
    ]);
  });

  test("layers without parameters count as functions", async () => {
    expect(names(await shown(new SharedActivation(), x()))).toEqual([
      "input",
      "layers",
      "  0",
      "  act",
      "  dropout",
      "  1",
      "act",
      "dropout",
      "head",
      "output",
    ]);
  });

  test("lists that take turns give way to their layers, with their paths", async () => {
    expect(names(await shown(new Turns(), x()))).toEqual([
      "input",
      "convs.0",
      "norms.0",
      "relu",
      "convs.1",
      "norms.1",
      "relu",
      "output",
    ]);
  });

  test.each([
    ["a loop", () => new Loop()],
    ["a shared activation", () => new SharedActivation()],
    ["lists by turns", () => new Turns()],
    ["residual blocks", () => new Residual()],
    ["nested lists", () => new Nested()],
    ["a Sequential called one by one", () => new OneByOne()],
    ["crossing lists", () => new Crossing()],
    ["a child called from outside", () => new FromOutside()],
    ["a shared module", () => new Shared(100)],
  ])("%s: no edge leads back, whatever is open", async (_name, make) => {
    const { flow } = await observed(make(), x());
    const containers = [...new Set(flow.nodes.flatMap(({ parent }) => parent ?? []))];
    for (const open of [[], ...containers.map((_one, i) => containers.slice(0, i + 1))]) {
      const closed = new Set(containers.filter((id) => !open.includes(id)));
      const some = shownFlow(
        flow,
        { opened: new Set(open), closed, unfolded: new Set(containers) },
        (path) => path,
      );
      expect(isAcyclic(some), `${names(some).join()} ${JSON.stringify(some.edges)}`).toBe(true);
    }
    expect(new Set(flow.nodes.map(({ id }) => id)).size).toBe(flow.nodes.length);
    expect(flow.nodes.length).toBeLessThan(50);
  });

  test("three hundred layers are one box in a chain; opened, each edge leads down", async () => {
    const closed = await shown(new Deep(), x(), ["layers"]);
    expect(names(closed)).toEqual(["input", "layers", "tanh", "head", "output"]);
    expect(closed.edges.length).toBe(4);
    for (const model of [new Deep(), new DeepTurns()]) {
      const open = await shown(model, x());
      const before = process.cpuUsage();
      const laid = await new ELK().layout(
        elkGraph(
          open,
          () => ({ title: "", kind: "", width: 120, height: 44 }),
          () => 60,
        ),
      );
      const { user, system } = process.cpuUsage(before);
      // One to two seconds on a busy machine.
      expect((user + system) / 1000).toBeLessThan(6000);
      const { boxes } = layoutOf(positionsOf(laid));
      for (const { from, to } of open.edges) {
        const [above, below] = [boxes.get(from)!, boxes.get(to)!];
        expect(above.y + above.height, `${from} > ${to}`).toBeLessThanOrEqual(below.y);
      }
    }
  });
});
