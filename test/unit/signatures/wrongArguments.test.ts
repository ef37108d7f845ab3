// Wrong arguments are refused by a clear message, never by a JavaScript error from somewhere inside the library.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { data, F, nn, torch, type Tensor } from "layerwise";
import { Tensor as TensorClass } from "../../../extension/tensor/core/tensor.ts";
import { METHODS, SIGNATURES } from "../../../extension/tensor/signatures/table.ts";
import { useEngine } from "../../engines.ts";

type Callee = (...args: readonly unknown[]) => unknown;

useEngine("cpu");
let log: { mockRestore(): void };
beforeAll(() => {
  log = vi.spyOn(console, "warn").mockImplementation(() => undefined);
});
afterAll(() => {
  log.mockRestore();
});

/** Values in place of an argument: a mistyped name, a function that returned nothing, plain data, numbers. */
const WRONG: readonly unknown[] = [undefined, null, "a", {}, 1, 0.5, true];

/** Calls with a wrong argument in each place that end in an error of JavaScript's own. */
function unclear(name: string, call: Callee): string[] {
  const good = torch.ones(2, 2);
  const calls = WRONG.flatMap((x) => [[x], [good, x], [x, good], [good, good, x], [[x]]]);
  return calls.flatMap((args) => {
    try {
      call(...args);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) return [];
      const shown = args.map((x) => (x === good ? "tensor" : JSON.stringify(x)));
      return [`${name}(${shown.join(", ")}): ${error.message.split("\n")[0]}`];
    }
    return [];
  });
}

describe("a wrong argument of", () => {
  test.each([
    ["torch", torch],
    ["F", F],
    ["torch.linalg", torch.linalg],
    ["torch.fft", torch.fft],
  ] as const)("%s's functions", (key, namespace) => {
    const functions = Object.entries(namespace as unknown as Record<string, unknown>).filter(
      ([name, f]) => typeof f === "function" && (key !== "torch" || Object.hasOwn(SIGNATURES, name)),
    );
    expect(functions.length).toBeGreaterThan(10);
    const wrong = functions.flatMap(([name, f]) => unclear(`${key}.${name}`, f as Callee));
    expect(wrong).toEqual([]);
  });

  test("a tensor's methods", () => {
    const prototype = Object.getOwnPropertyDescriptors(TensorClass.prototype) as Record<
      string,
      PropertyDescriptor
    >;
    const names = Object.keys({ ...SIGNATURES, ...METHODS }).filter(
      (name) => typeof prototype[name]?.value === "function",
    );
    expect(names.length).toBeGreaterThan(100);
    const wrong = names.flatMap((name) =>
      unclear(name, (...args) => (torch.ones(2, 2) as unknown as Record<string, Callee>)[name]!(...args)),
    );
    expect(wrong).toEqual([]);
  });
});

describe("refuses", () => {
  const none = undefined as unknown as Tensor;
  const list = [1, 2] as unknown as Tensor;
  const body = undefined as unknown as () => void;
  const set = undefined as unknown as data.Dataset;
  test.each<[refusal: string, call: () => unknown]>([
    [
      "reshape() received an invalid combination of arguments - got (Tensor, null)",
      () => torch.reshape(torch.ones(2), null as never),
    ],
    [
      "kthvalue(): argument 'k' (position 2) must be int, not float",
      () => torch.kthvalue(torch.ones(3), 1.5),
    ],
    ["rot90(): argument 'k' (position 2) must be int, not float", () => torch.rot90(torch.ones(2, 2), 0.5)],
    [
      "TensorDataset(): expected Tensor as element 1 in argument 'tensors', but got undefined",
      () => new data.TensorDataset(torch.ones(2), none),
    ],
    ["object of type 'undefined' has no samples by number", () => new data.DataLoader(set)],
    ["object of type 'undefined' has no samples by number", () => new data.Subset(set, [0])],
    ["object of type 'undefined' has no samples by number", () => data.randomSplit(set, [1])],
    [
      "ConcatDataset(): argument 'datasets' must be a list, not undefined",
      () => new data.ConcatDataset(set as never),
    ],
    [
      "ChainDataset(): argument 'datasets' must be a list, not undefined",
      () => new data.ChainDataset(set as never),
    ],
    [
      "clip_grad_norm_(): argument 'parameters' must be Tensors, not undefined",
      () => nn.utils.clipGradNorm_(none, 1),
    ],
    [
      "clip_grad_value_(): argument 'parameters' must be Tensors, not undefined",
      () => nn.utils.clipGradValue_(none, 1),
    ],
    [
      "parameters_to_vector(): expected Tensor as element 0 in argument 'parameters', but got undefined",
      () => nn.utils.parametersToVector([none]),
    ],
    [
      "pad_sequence(): expected Tensor as element 1 in argument 'sequences', but got null",
      () => nn.utils.rnn.padSequence([torch.ones(2), null as never]),
    ],
    [
      "grad(): argument 'inputs' must be Tensors, not undefined",
      () => torch.autograd.grad(torch.ones(1), none),
    ],
    ["backward(): argument 'tensors' must be Tensors, not undefined", () => torch.autograd.backward(none)],
    ["noGrad(): argument 'body' must be a function, not undefined", () => torch.noGrad(body)],
    [
      "detectAnomaly(): argument 'body' must be a function, not undefined",
      () => torch.autograd.detectAnomaly(body),
    ],
    [
      "cannot assign 'list' object to buffer 'weight' (torch Tensor or None required)",
      () => new nn.CrossEntropyLoss({ weight: list }),
    ],
  ])("%s", (refusal, call) => {
    expect(call).toThrow(refusal);
  });

  test("but leaves errors of the user's own code unchanged", () => {
    const x = torch.ones(2, { requiresGrad: true });
    x.registerHook(() => (undefined as unknown as Tensor).mul(2));
    expect(() => x.sum().backward({ retainGraph: true })).toThrow(TypeError);
    const distanceFunction = (): Tensor => (undefined as unknown as Tensor).mul(2);
    const [a, b] = [torch.ones(2, 2), torch.zeros(2, 2)];
    expect(() => F.tripletMarginWithDistanceLoss(a, b, b, { distanceFunction })).toThrow(TypeError);
  });
});
