// Layerwise's side of "npm run bench -- --functions": one case a line in, its times in milliseconds out.
import { createInterface } from "node:readline";
import { loadExecutor } from "../../extension/executors/index.ts";
import { F, torch } from "../../extension/nn/index.ts";
import { Tensor } from "../../extension/tensor/core/tensor.ts";

interface TensorSpec {
  kind: string;
  high?: number;
  shape: number[];
}

interface Case {
  name: string;
  args: unknown[];
  options: Record<string, unknown>;
  seconds: number;
}

type AnyFunction = (...args: unknown[]) => unknown;

const NAMESPACES: Record<string, object> = {
  F,
  linalg: torch.linalg,
  fft: torch.fft,
  special: torch.special,
};

/** As in functionsWorker.py. */
const KINDS: Record<string, (shape: number[], high: number) => Tensor> = {
  f: (shape) => torch.randn(shape),
  p: (shape) => torch.rand(shape),
  u: (shape) => torch.rand(shape).add(0.1),
  v: (shape) => torch.rand(shape).add(1.1),
  g: (shape) => torch.rand(shape).mul(2).sub(1),
  s: (shape) => torch.randn(shape).sort().values,
  e: (shape) => {
    const size = shape.at(-1)!;
    const root = torch.randn(shape.length > 1 ? shape : [size, size]);
    return root.matmul(root.transpose(-2, -1)).div(size).add(torch.eye(size));
  },
  o: (shape) => torch.ones(shape),
  z: (shape) => torch.zeros(shape),
  b: (shape) => torch.rand(shape).gt(0.5),
  l: (shape) => torch.randn(shape).logSoftmax(-1),
  i: (shape, high) => torch.randint(0, high, shape),
  n: (shape, high) => torch.full(shape, high, { dtype: torch.int64 }),
  r: ([length]) => torch.randperm(length!),
};

/** A tensor with its values, which no later graph computes again. */
function tensor({ kind, high = 0, shape }: TensorSpec): Tensor {
  const made = KINDS[kind]!(shape, high).detach();
  made.reshape([-1]).index(0).item();
  return made;
}

function value(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(value);
  if (typeof given !== "object" || given === null) return given;
  return tensor((given as { tensor: TensorSpec }).tensor);
}

const camelCase = (name: string): string =>
  name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** The first tensor of a result; a bool or a number has been computed already. */
function first(result: unknown): Tensor | undefined {
  if (result instanceof Tensor) return result;
  if (typeof result !== "object" || result === null || !(Symbol.iterator in result)) return undefined;
  return first([...(result as Iterable<unknown>)][0]);
}

const total = (out: Tensor): Tensor => (out.isComplex() ? torch.viewAsReal(out) : out).sum();

function timed(call: () => void, seconds: number): number {
  let start = performance.now();
  for (let i = 0; i < 3; i++) call();
  // A call that takes long needs no more.
  if (performance.now() - start > 10_000 * seconds) return (performance.now() - start) / 3;
  // Until the engine has chosen how to compute it.
  while (performance.now() - start < 3000 * seconds) call();
  start = performance.now();
  let count = 0;
  for (; performance.now() - start < 1000 * seconds; count++) call();
  return (performance.now() - start) / count;
}

function measure({ name, args, options, seconds }: Case): object {
  const [last, namespace] = name.split(".").toReversed();
  const owner = namespace === undefined ? torch : NAMESPACES[namespace]!;
  const called = (owner as unknown as Record<string, AnyFunction | undefined>)[camelCase(last!)];
  if (called === undefined) throw new Error("is missing");
  const values = args.map(value);
  const named = Object.fromEntries(Object.entries(options).map(([key, given]) => [camelCase(key), given]));
  const run = (): Tensor | undefined =>
    first(called(...values, ...(Object.keys(named).length > 0 ? [named] : [])));
  const forward = timed(() => {
    const out = run();
    if (out !== undefined) total(out).item();
  }, seconds);
  const inputs = values.filter(
    (one): one is Tensor => one instanceof Tensor && one.isFloatingPoint() && !one.isComplex(),
  );
  for (const one of inputs) one.requiresGrad_();
  const backward = (): void => {
    for (const one of inputs) one.grad = null;
    const loss = total(run()!);
    loss.backward();
    for (const one of inputs) if (one.grad !== null) one.grad.reshape([-1]).index(0).item();
    loss.item();
  };
  if (inputs.length === 0) return { forward };
  try {
    backward();
  } catch {
    return { forward };
  }
  return { forward, backward: timed(backward, seconds) };
}

await loadExecutor(process.argv[2] === "wasm" ? "wasm" : "native");
for await (const line of createInterface(process.stdin)) {
  let answer: object;
  try {
    answer = measure(JSON.parse(line) as Case);
  } catch (error) {
    answer = { error: `Layerwise: ${error instanceof Error ? error.message : String(error)}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
