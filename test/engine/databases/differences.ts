// What differs between the library and PyTorch's own cases, and what is known of it.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";
import { hasNative, useEngine } from "../../engines.ts";
import {
  compare,
  decode,
  isTensor,
  Unsupported,
  values,
  type Json,
  type JsonTensor,
} from "../../parity/format.ts";
import { camelCase, construct } from "../../parity/names.ts";

/** A difference that stays: of which classes and of what, and why. */
export interface Known {
  /** Names with spaces between them. */
  of: string;
  what: string | readonly string[];
  reason: string;
}

export interface JsonCall {
  args: Json[];
  kwargs: Record<string, Json>;
}

export const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/databases/${name}.json`, import.meta.url), "utf8"));

/** Differences by class and kind, each with its first text. */
export class Differences {
  readonly #found = new Map<string, string>();

  add(of: string, what: string, text: string | null): void {
    const key = `${of}: ${what}`;
    if (text !== null && !this.#found.has(key)) this.#found.set(key, text);
  }

  /** Notes what isn't equal. */
  same(of: string, what: string, got: unknown, expected: unknown): void {
    const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
    if (a !== b) this.add(of, what, `${a} instead of ${b}`);
  }

  /** Notes what isn't refused, or in other words; the kind of difference is PyTorch's message. */
  message(of: string, got: string | undefined, expected: string | undefined): void {
    this.same(of, expected === undefined ? "refusal" : `"${expected}"`, got, expected);
  }

  /** Tests that nothing differs but what is known, and that all of that does. */
  check(known: readonly Known[]): void {
    const keys = new Set(
      known.flatMap(({ of, what }) =>
        of.split(" ").flatMap((name) => [what].flat().map((one) => `${name}: ${one}`)),
      ),
    );
    test("only known differences are there", () => {
      const others = [...this.#found].filter(([key]) => !keys.has(key));
      expect(others.map(([key, text]) => `${key}: ${text}`)).toEqual([]);
    });
    test("all known differences are there", () => {
      expect([...keys].filter((key) => !this.#found.has(key))).toEqual([]);
    });
  }
}

/** The engine of these tests, without the warnings that odd arguments give. */
export function useQuietEngine(): void {
  useEngine(hasNative ? "native" : "wasm");
  let warnings: ReturnType<typeof setWarningSink>;
  beforeAll(() => void (warnings = setWarningSink(() => {})));
  afterAll(() => void setWarningSink(warnings));
}

function refuse(what: string): never {
  throw new Unsupported(what);
}

/**
 * Values of arguments; tensors that want gradients are noted in `leaves` under their paths.
 * @throws Unsupported for those that have no counterpart
 */
export function argument(x: Json, leaves = new Map<string, Tensor>(), path = ""): unknown {
  if (Array.isArray(x)) return x.map((v, i) => argument(v, leaves, `${path}.${i}`));
  if (typeof x !== "object" || x === null) return x;
  if (isTensor(x)) return tensor(x, leaves, path);
  if ("$number" in x) return Number(x["$number"]);
  if ("$unknown" in x) return refuse(x["$unknown"] as string);
  if ("$function" in x) return functionOf(x["$function"] as string);
  const { $module: type, args, kwargs } = x as unknown as JsonCall & { $module: string };
  const given = args.map((v) => argument(v));
  return construct("nn", type, given, keywords(kwargs));
}

function tensor(x: JsonTensor, leaves: Map<string, Tensor>, path: string): Tensor {
  if (x.dtype === "complex64") refuse("a complex tensor");
  // There is one type of integers.
  const t = decode(x.dtype === "int32" ? { ...x, dtype: "int64" } : x);
  if (x.grad === true) leaves.set(path, t.requiresGrad_());
  return t;
}

function functionOf(name: string): unknown {
  const own = camelCase(name);
  return (F as Record<string, unknown>)[own] ?? (torch as Record<string, unknown>)[own] ?? refuse(name);
}

export const keywords = (
  kwargs: Record<string, Json>,
  leaves?: Map<string, Tensor>,
): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(kwargs).map(([name, v]) => [name, argument(v, leaves, `kwargs.${name}`)]),
  );

/** Weights of a sum over a tensor: its loss. */
export function weights(x: Tensor, at: number): Tensor {
  const data = Float32Array.from({ length: x.numel() }, (_, i) => (((i * 7 + at * 3) % 11) - 5) / 5);
  return fromHost(data, x.shape, "float32");
}

/** The difference of a tensor, relative to its largest value. */
export function difference(got: Tensor, expected: JsonTensor, rel: number): string | null {
  const floats = expected.dtype === "float32" ? [...values(expected)].filter(Number.isFinite) : [];
  const largest = floats.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return compare(got, expected, { abs: 1e-6 + 0.1 * rel * largest, rel });
}

/** The message of what a function throws. */
export function refusal(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof Unsupported) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Runs a case; what it throws is a difference, too. */
export function attempt(differences: Differences, of: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof Unsupported) differences.add(of, "arguments", error.message);
    else differences.add(of, "error", error instanceof Error ? error.message : String(error));
  }
}
