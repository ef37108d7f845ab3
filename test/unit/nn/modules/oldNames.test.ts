// Names that PyTorch deprecates: the same functions, with PyTorch's warning.
import { afterEach, beforeEach, expect, test } from "vitest";
import { data, F, nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { setWarningSink, type WarningSink } from "../../../../extension/nn/warnings.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const warnings: string[] = [];
let before: WarningSink;
beforeEach(() => {
  warnings.length = 0;
  before = setWarningSink((message) => void warnings.push(message));
});
afterEach(() => void setWarningSink(before));

const INITIALISERS: Readonly<Record<string, readonly unknown[]>> = {
  uniform: [-1, 1],
  normal: [2, 3],
  constant: [4],
  eye: [],
  xavierUniform: [],
  xavierNormal: [2],
  kaimingUniform: [0.1],
  kaimingNormal: [],
  orthogonal: [],
  sparse: [0.5],
};

type Initialise = (tensor: Tensor, ...args: readonly unknown[]) => Tensor;
const init = nn.init as unknown as Readonly<Record<string, Initialise>>;

test.each(Object.entries(INITIALISERS))("nn.init.%s", (name, args) => {
  const drawn = (called: string): unknown => {
    torch.manualSeed(1);
    return init[called]!(torch.zeros(4, 4), ...args).tolist();
  };
  expect(drawn(name)).toEqual(drawn(`${name}_`));
  const old = name.replace(/[A-Z]/, (c) => `_${c.toLowerCase()}`);
  expect(warnings).toEqual([`\`nn.init.${old}\` is now deprecated in favor of \`nn.init.${old}_\`.`]);
});

test("nn.init.dirac", () => {
  expect(nn.init.dirac(torch.zeros(2, 2, 1)).tolist()).toEqual(nn.init.dirac_(torch.zeros(2, 2, 1)).tolist());
});

test("F.upsample and its kinds", () => {
  const x = torch.randn(1, 2, 3, 4);
  F.upsample(x, { scaleFactor: 2 });
  F.upsampleNearest(x, 5);
  F.upsampleBilinear(x, { size: [4, 6] });
  expect(warnings).toEqual(
    ["upsample", "upsample_nearest", "upsample_bilinear"].map(
      (name) => `\`nn.functional.${name}\` is deprecated. Use \`nn.functional.interpolate\` instead.`,
    ),
  );
});

test("data.defaultConvert makes tensors of typed arrays, in whatever they are, and a loader without batches does so", () => {
  const made = data.defaultConvert({
    x: Float32Array.of(1, 2),
    rest: [Int32Array.of(3), "a", 4],
    none: null,
  });
  expect([made.x.tolist(), (made.rest[0] as Tensor).tolist()]).toEqual([[1, 2], [3]]);
  expect([made.rest[1], made.rest[2], made.none]).toEqual(["a", 4, null]);
  const loader = new data.DataLoader([Float32Array.of(5)] as never, { batchSize: null });
  expect([...loader].map((x) => (x as Tensor).tolist())).toEqual([[5]]);
  expect(data.getWorkerInfo()).toBe(null);
});
