// Packed sequences, and sequences that are long or wide enough for kernels of their own, against PyTorch.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { gradientName } from "../../../extension/tensor/core/print.ts";
import { compare, decode, EXACT, isTensor, type Json, type JsonTensor } from "../../parity/format.ts";
import { camelCase, construct, keywords } from "../../parity/names.ts";
import { onEachEngine } from "../../engines.ts";

const { packPaddedSequence, padPackedSequence, PackedSequence } = nn.utils.rnn;

interface Made {
  type: "RNN" | "LSTM" | "GRU";
  args: Json[];
  kwargs: Record<string, Json>;
}

interface Packed extends Made {
  train: boolean;
  lengths: number[];
  batchFirst: boolean;
  enforceSorted: boolean;
  input: JsonTensor;
  hx: JsonTensor[] | null;
  state: Record<string, JsonTensor>;
  data: JsonTensor;
  batchSizes: JsonTensor;
  sortedIndices: JsonTensor | null;
  unsortedIndices: JsonTensor | null;
  output: JsonTensor;
  padded: JsonTensor;
  paddedLengths: JsonTensor;
  weights: JsonTensor;
  stateWeights: JsonTensor[];
  states: JsonTensor[];
  grads: Record<string, JsonTensor>;
}

/** Sum, sum of squares, first and last value. */
type Digest = [number, number, number, number];

interface Sized extends Made {
  shape: number[];
  output: Digest;
  states: Digest[];
  grads: Record<string, Digest>;
}

/** A call of a function of torch.nn.utils.rnn. */
interface Call {
  fn: string;
  args: Json[];
  kwargs: Record<string, Json>;
  result?: Json;
  error?: string;
  text?: string;
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/recurrent/${name}.json`, import.meta.url), "utf8"));
const packed = read("packed") as Packed[];
const sized = read("sizes") as Sized[];
const calls = read("utils") as Call[];
const named = read("gradients") as (Made & { shape: number[]; names: string[] })[];

type Recurrent = nn.Module & { forward(input: unknown, hx?: unknown): [unknown, Tensor | Tensor[]] };

const make = ({ type, args, kwargs }: Made): Recurrent =>
  construct("nn", type, args, keywords(kwargs)) as Recurrent;

const close = { abs: 1e-5, rel: 1e-5 };
const name = ({ type, args, kwargs }: Made): string =>
  `${type} ${JSON.stringify(args)} ${JSON.stringify(kwargs)}`;

function expectSame(what: string, got: Tensor | null, expected: JsonTensor | null): void {
  if (expected === null) expect(got, what).toBeNull();
  else expect(compare(got!, expected, close), what).toBeNull();
}

function expectDigest(what: string, got: Tensor, expected: Digest): void {
  const values = [...got.toTypedArray()];
  const digest = [
    values.reduce((sum, v) => sum + v, 0),
    values.reduce((sum, v) => sum + v * v, 0),
    values[0]!,
    values.at(-1)!,
  ];
  digest.forEach((v, i) => {
    const off = Math.abs(v - expected[i]!) / (1e-5 * Math.sqrt(values.length) + Math.abs(expected[i]!));
    expect(off, `${what}: ${digest.join()} is not ${expected.join()}`).toBeLessThan(1e-4);
  });
}

function runPacked(c: Packed): void {
  const model = make(c);
  model.loadStateDict(new Map(Object.entries(c.state).map(([key, t]) => [key, decode(t)])));
  model.train(c.train);
  const input = decode(c.input).requiresGrad_();
  const hx = c.hx?.map((s) => decode(s).requiresGrad_());
  torch.manualSeed(5);
  const { batchFirst, enforceSorted } = c;
  const sequence = packPaddedSequence(input, c.lengths, { batchFirst, enforceSorted });
  const [output, end] = model(sequence, c.type === "LSTM" ? hx : hx?.[0]);
  if (!(output instanceof PackedSequence)) throw new Error("the output is not packed");
  const states = Array.isArray(end) ? end : [end];
  const [padded, lengths] = padPackedSequence(output, {
    batchFirst,
    totalLength: Math.max(...c.lengths) + 1,
  });
  let loss = padded.mul(decode(c.weights)).sum();
  states.forEach((s, i) => (loss = loss.add(s.mul(decode(c.stateWeights[i]!)).sum())));
  loss.backward();
  expectSame("packed input", sequence.data, c.data);
  expectSame("sizes", sequence.batchSizes, c.batchSizes);
  expectSame("order", sequence.sortedIndices, c.sortedIndices);
  expectSame("order back", sequence.unsortedIndices, c.unsortedIndices);
  expectSame("packed output", output.data, c.output);
  expectSame("padded output", padded, c.padded);
  expectSame("lengths", lengths, c.paddedLengths);
  states.forEach((s, i) => expectSame(`state ${i}`, s, c.states[i]!));
  const grads = new Map<string, Tensor | null>([["input", input.grad]]);
  hx?.forEach((s, i) => grads.set(`hx.${i}`, s.grad));
  for (const [key, p] of model.namedParameters()) grads.set(key, p.grad);
  expect([...grads.keys()].toSorted()).toEqual(Object.keys(c.grads).toSorted());
  for (const [key, expected] of Object.entries(c.grads))
    expectSame(`gradient of ${key}`, grads.get(key)!, expected);
}

function runSized(c: Sized): void {
  torch.manualSeed(3);
  const model = make(c);
  const input = torch.randn(c.shape).requiresGrad_();
  const [output, end] = model(input) as [Tensor, Tensor | Tensor[]];
  const states = Array.isArray(end) ? end : [end];
  const losses = [output, ...states].map((y) => y.mul(y).mean());
  losses.reduce((a, b) => a.add(b)).backward();
  expectDigest("output", output, c.output);
  states.forEach((s, i) => expectDigest(`state ${i}`, s, c.states[i]!));
  expectDigest("gradient of input", input.grad!, c.grads["input"]!);
  for (const [key, p] of model.namedParameters()) expectDigest(`gradient of ${key}`, p.grad!, c.grads[key]!);
}

function given(x: Json): unknown {
  if (isTensor(x)) return decode(x);
  if (Array.isArray(x)) return x.map(given);
  if (typeof x !== "object" || x === null) return x;
  const [data, ...rest] = (x["packed"] as Json[]).map(given) as [
    Tensor,
    Tensor,
    Tensor | null,
    Tensor | null,
  ];
  return new PackedSequence(data, ...rest);
}

function expectEqual(what: string, got: unknown, expected: Json): void {
  if (isTensor(expected)) {
    expect(compare(got as Tensor, expected, EXACT), what).toBeNull();
  } else if (typeof expected === "object" && expected !== null) {
    const parts = Array.isArray(expected) ? expected : (expected["packed"] as Json[]);
    if (!Array.isArray(expected)) expect(got, what).toBeInstanceOf(PackedSequence);
    const found = [...(got as Iterable<unknown>)];
    expect(found.length, what).toBe(parts.length);
    parts.forEach((part, i) => expectEqual(`${what}, part ${i}`, found[i], part));
  } else expect(got, what).toBe(expected);
}

function runCall({ fn, args, kwargs, result, error, text }: Call): void {
  const f = (nn.utils.rnn as unknown as Record<string, (...args: unknown[]) => unknown>)[camelCase(fn)]!;
  const named = Object.entries(kwargs).map(([key, value]) => [camelCase(key), given(value)]);
  const all = [...args.map(given), ...(named.length === 0 ? [] : [Object.fromEntries(named)])];
  if (error !== undefined) {
    expect(() => f(...all)).toThrow(expect.objectContaining({ message: error }));
    return;
  }
  const got = f(...all);
  expectEqual(fn, got, result!);
  if (text !== undefined) expect(String(got)).toBe(text);
}

onEachEngine((device, executor) => {
  it.each(packed.map((c, i) => [`${i} ${name(c)}`, c] as const))("packed, %s", (_, c) => runPacked(c));

  it.each(calls.map((c, i) => [`${i} ${c.fn}`, c] as const))("utils, %s", (_, c) => runCall(c));

  // The first time they are interpreted, then compiled.
  it.each(sized.map((c) => [name(c), c] as const))("%s", (_, c) => {
    for (let round = 0; round < 3; round++) runSized(c);
  });

  it.each(named.map((c) => [name(c), c] as const))("%s has PyTorch's names of gradients", (_, c) => {
    const [output, end] = make(c)(torch.randn(c.shape)) as [Tensor, Tensor | Tensor[]];
    expect([output, end].flat().map(gradientName)).toEqual(c.names);
  });

  it.each(["RNN", "LSTM", "GRU"] as const)("%s of a batch without sequences has zero gradients", (type) => {
    const layer = make({ type, args: [3, 4], kwargs: { bidirectional: true } });
    const x = torch.randn(5, 0, 3).requiresGrad_();
    const [y] = layer(x) as [Tensor, unknown];
    expect(y.shape).toEqual([5, 0, 8]);
    y.sum().backward();
    for (const p of layer.parameters()) expect([...p.grad!.toTypedArray()]).toEqual(Array(p.numel()).fill(0));
    expect(x.grad!.shape).toEqual([5, 0, 3]);
  });

  it("a cell in a loop of the user's is the layer, gradients included", () => {
    torch.manualSeed(1);
    const cell = new nn.LSTMCell(3, 4);
    const layer = new nn.LSTM(3, 4);
    layer.loadStateDict(new Map([...cell.stateDict()].map(([key, t]) => [`${key}_l0`, t])));
    const x = torch.randn(6, 2, 3);
    let [h, c] = [torch.zeros(2, 4), torch.zeros(2, 4)];
    const hidden: Tensor[] = [];
    for (const row of x) {
      [h, c] = cell(row, [h, c]);
      hidden.push(h);
    }
    const looped = torch.stack(hidden);
    const [output, [, last]] = layer(x);
    looped.pow(2).sum().add(c.sum()).backward();
    output.pow(2).sum().add(last.sum()).backward();
    const pairs = [
      [looped, output],
      ...cell.parameters().map((p, i) => [p.grad!, layer.parameters()[i]!.grad!]),
    ];
    for (const [a, b] of pairs) expect(a!.sub(b!).abs().max().item()).toBeLessThan(2e-6);
  });

  if (device === "native")
    it("a layer's node count does not grow with the sequence", () => {
      const nodes = (steps: number): number => {
        const layer = new nn.LSTM(3, 4);
        const before = executor().counters()["interpretedNodes"]!;
        layer(torch.randn(steps, 2, 3))[0].toTypedArray();
        return executor().counters()["interpretedNodes"]! - before;
      };
      expect(nodes(200)).toBe(nodes(10));
    });
});
