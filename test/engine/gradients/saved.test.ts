// Which values backward() needs, against PyTorch: they may not be written to in between, nor used a second time.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink, type WarningSink } from "../../../extension/nn/warnings.ts";
import { prepare, outputsOf, type GradSpec } from "../../parity/kinds/grad.ts";
import { decode, isTensor, type Json } from "../../parity/format.ts";
import { callArguments, camelCase, lookUp } from "../../parity/names.ts";

interface Saved {
  stale: string[];
  once: boolean;
  views?: string[][];
  inplace?: boolean;
}

interface Family {
  name: string;
  spec: { items: GradSpec[] };
}

const fixtures = new URL("../../fixtures/", import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, fixtures), "utf8"));
const saved = read("saved/saved.json") as Record<string, Record<string, Saved>>;
const families = ["cases/", "golden/grad/"].flatMap((folder) =>
  readdirSync(new URL(folder, fixtures))
    .filter((name) => name.endsWith(".json"))
    .map((name) => read(folder + name) as Family),
);

/**
 * Inputs and outputs that PyTorch saves and we don't, for gradients made of several others: a write to them goes unnoticed, and
 * the gradient is that of the values before.
 */
const DIFFERENCES: Readonly<Record<string, readonly string[]>> = {
  AdaptiveAvgPool1d: ["args.0"],
  AdaptiveAvgPool2d: ["args.0"],
  Bilinear: ["state.weight"],
  CTCLoss: ["args.0", "args.1"],
  Conv2d: ["args.0"],
  EmbeddingBag: ["args.1"],
  "F.cross_entropy": ["kwargs.weight"],
  "F.ctc_loss": ["args.0", "args.1", "outputs.0"],
  "F.huber_loss": ["args.0", "args.1"],
  "F.multi_margin_loss": ["kwargs.weight"],
  "F.nll_loss": ["kwargs.weight", "args.0"],
  "F.pad": ["args.0"],
  "F.pdist": ["args.0"],
  "F.prelu": ["args.1"],
  "F.scaled_dot_product_attention": ["args.0", "outputs.0"],
  GRU: ["args.0"],
  LSTM: [
    "args.0",
    "args.1.0",
    "args.1.1",
    "state.bias_ih_l0",
    "state.bias_hh_l0",
    "state.bias_ih_l0_reverse",
    "state.bias_hh_l0_reverse",
    "state.bias_ih_l1",
    "state.bias_hh_l1",
    "state.bias_ih_l1_reverse",
    "state.bias_hh_l1_reverse",
    "outputs.0",
  ],
  RNN: ["args.0"],
  RNNCell: ["outputs.0", "state.weight_hh"],
  "torch.atan2": ["args.0", "args.1"],
  "torch.cdist": ["args.0", "args.1", "outputs.0"],
  "torch.cummax": ["args.0", "outputs.1"],
  "torch.cummin": ["args.0", "outputs.1"],
  "torch.cumprod": ["outputs.0"],
  "torch.det": ["outputs.0"],
  "torch.dist": ["args.0", "args.1"],
  "torch.index_fill": ["args.2"],
  "torch.kron": ["args.0", "args.1"],
  "torch.linalg.det": ["outputs.0"],
  "torch.linalg.eigvalsh": ["outputs.0"],
  "torch.linalg.slogdet": ["outputs.0"],
  "torch.linalg.solve_triangular": ["args.0"],
  "torch.linalg.svdvals": ["outputs.0"],
  "torch.logcumsumexp": ["args.0", "outputs.0"],
  "torch.masked_scatter": ["args.2"],
  "torch.median": ["args.0", "outputs.0", "outputs.1"],
  "torch.prod": ["outputs.0"],
  "torch.quantile": ["args.0"],
  "torch.scatter_add": ["args.2"],
  "torch.scatter_reduce": ["args.0", "args.2", "args.3", "outputs.0"],
  "torch.sgn": ["args.0", "outputs.0", "once"],
  "torch.xlogy": ["args.1"],
  Upsample: ["once"],
  "torch.arcsinh": ["inplace"],
};

/** Functions whose in-place form gives a tensor another shape: tensors don't have them here. */
const SHAPED = new Set(["torch.swapaxes", "torch.squeeze", "torch.unsqueeze", "torch.transpose"]);

interface Call {
  touched: Map<string, Tensor>;
  outputs: Tensor[];
}

function call(spec: GradSpec, inplace = false): Call {
  const touched = new Map<string, Tensor>();
  const value = (x: Json, path: string): unknown => {
    if (isTensor(x)) {
      const t = x.grad === true ? decode(x).requiresGrad_().clone() : decode(x);
      touched.set(path, t);
      return t;
    }
    return Array.isArray(x) ? x.map((v, i) => value(v, `${path}.${i}`)) : x;
  };
  const args = (spec.args ?? []).map((x, i) => value(x, `args.${i}`));
  const kwargs = Object.fromEntries(
    Object.entries(spec.kwargs ?? {}).map(([name, x]) => [name, value(x, `kwargs.${name}`)]),
  );
  if (spec.seed !== undefined) torch.manualSeed(spec.seed);
  if (spec.model !== undefined) {
    const model = prepare(spec.model, spec);
    for (const [name, p] of model.namedParameters()) touched.set(`state.${name}`, p);
    const run = model as unknown as (...input: readonly unknown[]) => unknown;
    return { touched, outputs: outputsOf(run(...callArguments(args, kwargs))) };
  }
  const at = spec.fn!.lastIndexOf(".");
  const [space, name] = [spec.fn!.slice(0, at), spec.fn!.slice(at + 1)];
  const f =
    space === "Tensor" || inplace
      ? (self: unknown, ...rest: unknown[]): unknown =>
          (self as Record<string, (...rest: unknown[]) => unknown>)[camelCase(inplace ? `${name}_` : name)]!(
            ...rest,
          )
      : lookUp(space, name);
  return { touched, outputs: outputsOf(f(...(callArguments(args, kwargs) as [unknown]))) };
}

const lossOf = (outputs: readonly Tensor[]): Tensor =>
  outputs
    .filter((y) => y.requiresGrad)
    .map((y) => y.mul(torch.onesLike(y)).sum())
    .reduce((a, b) => a.add(b));

function refusal(backward: () => void): string {
  try {
    backward();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

/** Whether both count the same writes. */
function sharesMemory(x: Tensor, y: Tensor): boolean {
  if (x === y || x.value === y.value) return true;
  const before = y.value.version?.newest;
  x.detach().zero_();
  return y.value.version?.newest !== before;
}

/** Whether places of a tensor share memory: nothing is written there. */
const hasStretched = (t: Tensor): boolean =>
  t.numel() === 0 || (t.viewStrides() ?? []).includes(0) || t.currentView()?.overlaps === true;

const nameOf = ({ fn, model }: GradSpec): string => fn ?? model!.type;

describe.each(families.filter(({ name }) => Object.keys(saved[name] ?? {}).length > 0))(
  "$name",
  ({ name, spec: { items } }) => {
    let before: WarningSink;
    beforeEach(() => void (before = setWarningSink(() => {})));
    afterEach(() => void setWarningSink(before));

    test.each(items.filter(({ id }) => saved[name]?.[id] !== undefined))("$id", (spec) => {
      const expected = saved[name]![spec.id]!;
      const { touched, outputs } = call(spec);
      const paths = [...touched.keys(), ...outputs.map((_, i) => `outputs.${i}`)];
      const stale = paths.filter((path) => {
        const again = call(spec);
        const loss = lossOf(again.outputs.map((y) => y.clone()));
        const target = again.touched.get(path) ?? again.outputs[Number(path.split(".")[1])]!;
        if (hasStretched(target)) return false;
        target.detach().zero_();
        return refusal(() => loss.backward()).includes("modified by an inplace operation");
      });
      const roots = outputs.filter((y) => y.requiresGrad);
      const seeds = roots.map((y) => torch.onesLike(y));
      torch.autograd.backward(roots, seeds);
      const once = refusal(() => torch.autograd.backward(roots, seeds)).includes("a second time");
      const found: Saved = { stale, once };
      const views = outputs.map((y) =>
        [...touched].filter(([, x]) => sharesMemory(x, y)).map(([path]) => path),
      );
      if (views.some((of) => of.length > 0)) found.views = views;
      if (expected.inplace !== undefined && !SHAPED.has(nameOf(spec))) {
        const changed = call(spec, true).outputs;
        found.inplace = refusal(() => lossOf(changed).backward()) === "";
      }
      const allowed = DIFFERENCES[nameOf(spec)] ?? [];
      const counted = (paths: readonly string[]): string[] => paths.filter((path) => !allowed.includes(path));
      const compared = (one: Saved): Partial<Saved> => {
        const fields = Object.entries(one).filter(
          ([field]) => !allowed.includes(field) && (field !== "inplace" || found.inplace !== undefined),
        );
        return { ...(Object.fromEntries(fields) as Partial<Saved>), stale: counted(one.stale) };
      };
      expect(compared(found)).toEqual(compared(expected));
    });
  },
);
