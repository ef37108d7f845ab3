import type { HostArray } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import { isAmongInputs, type Node, type Storage, type Value } from "./graph.ts";
import { gradientFunction } from "./op.ts";
import type { Inspector, Plan } from "../planning/executor.ts";
import { leafData } from "../planning/barrier.ts";
import { inspect } from "../planning/peeking.ts";
import { finallyRun, runtime } from "./runtime.ts";
import { requireBody, scope } from "./scope.ts";
import { formatShape } from "../core/shape.ts";

/** Flaw of a tensor's values: some are NaN, or infinite. */
export type Flaw = "nan" | "inf";

/**
 * Anomaly detection found a value that is not finite. Nothing of the step was written.
 */
export class AnomalyError extends TensorError {
  /** Stacks of calls: of the function that made the value, and of those that made its inputs. */
  declare readonly sites: readonly Error[];
  /** The parameter or buffer that already had such a value before the step. */
  readonly storage: Storage | undefined;
  /** Flawed rows of the first bad tensor that a function returned. Undefined for a number. */
  readonly rows: ReturnedRows | undefined;

  constructor(
    message: string,
    {
      hint,
      sites = [],
      module,
      storage,
      rows,
    }: { hint: string; sites?: readonly Error[]; module?: string; storage?: Storage; rows?: ReturnedRows },
  ) {
    super("non-finite", message, hint);
    this.sites = sites;
    this.storage = storage;
    this.rows = rows;
    if (module !== undefined && module !== "") this.module = module;
  }
}

/** Rows along the first dimension that have values which are not finite. */
export interface FlawedRows {
  /** Size of that dimension. */
  readonly of: number;
  readonly numbers: readonly number[];
}

/** Flawed rows of a tensor that a function returned. */
export interface ReturnedRows extends FlawedRows {
  /** Whether the tensor is made of a value: of a batch, if its rows are samples. */
  madeOf(value: Value): boolean;
}

/** Whether every value is checked when it is computed. */
export function isAnomalyEnabled(): boolean {
  return runtime.inspector !== undefined;
}

/**
 * PyTorch's `torch.autograd.set_detect_anomaly`: from here on every step is computed op by op, and one that writes a NaN
 * or an infinity into a parameter, or has one as its loss, throws instead; so does a `backward()` that computes a NaN. The
 * error names the function that made the first one, its module and the line that called it.
 * Unlike PyTorch's, it checks forward functions too. Slow: for debugging.
 */
export function setDetectAnomaly(on: boolean): void {
  runtime.inspector = on ? (plan) => new PlanInspector(plan) : undefined;
  runtime.checksGradients = on;
  scope.sites = on;
}

/** PyTorch's `torch.autograd.detect_anomaly`: {@link setDetectAnomaly} while `body` runs. */
export function detectAnomaly<T>(body: () => T): T {
  requireBody("detectAnomaly", body);
  const { inspector, checksGradients } = runtime;
  const { sites } = scope;
  setDetectAnomaly(true);
  return finallyRun(body, () => {
    Object.assign(runtime, { inspector, checksGradients });
    scope.sites = sites;
  });
}

/** Returns the flaw of some values; undefined if all are finite. */
export function flawOf(data: HostArray): Flaw | undefined {
  if (!(data instanceof Float32Array)) return undefined;
  let infinite = false;
  for (const x of data) {
    if (x - x === 0) continue;
    if (Number.isNaN(x)) return "nan";
    infinite = true;
  }
  return infinite ? "inf" : undefined;
}

/** Returns the rows of a tensor with values that are not finite. */
export function flawedRows(data: HostArray, shape: readonly number[]): FlawedRows | undefined {
  const [of = 0] = shape;
  if (of === 0) return undefined;
  const width = data.length / of;
  const numbers = Array.from({ length: of }, (_, row) => row).filter(
    (row) => flawOf(data.subarray(row * width, (row + 1) * width)) !== undefined,
  );
  return { of, numbers };
}

/** Flaws of values computed so far: a step may be computed in parts. */
const flaws = new WeakMap<Value, Flaw>();

/** Checks the values that a plan computes, and throws if it would write a flawed one. */
export class PlanInspector implements Inspector {
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  node(node: Node, read: (value: Value) => HostArray): void {
    for (const value of node.outputs) {
      const flaw = value.dtype === "float32" ? flawOf(read(value)) : undefined;
      if (flaw !== undefined) flaws.set(value, flaw);
    }
  }

  /** @throws AnomalyError */
  done(read: (value: Value) => HostArray): void {
    const { assigns, requested } = this.#plan;
    // A plan without writes only reads values: a mask may well be infinite.
    if (assigns.length === 0) return;
    for (const value of [...requested, ...assigns.map((a) => a.value)]) {
      const flaw = flawed(value);
      if (flaw !== undefined) throw explained(origin(value), read);
    }
  }
}

/** Checks gradients that `backward()` has made for NaN, as PyTorch does. */
class GradientInspector extends PlanInspector {
  readonly #gradients: readonly Value[];

  constructor(plan: Plan) {
    super(plan);
    this.#gradients = plan.requested;
  }

  /** @throws AnomalyError */
  override done(read: (value: Value) => HostArray): void {
    for (const value of this.#gradients) if (flawed(value) === "nan") throw explained(origin(value), read);
  }
}

/** @throws AnomalyError when one of them has a NaN */
export function inspectGradients(gradients: readonly Value[]): void {
  inspect(gradients, (plan) => new GradientInspector(plan));
}

/** Returns the flaw of a value, from the data if it is a leaf. */
function flawed(value: Value): Flaw | undefined {
  if (value.dtype !== "float32") return undefined;
  const leaf = value.producer;
  if (leaf.kind === "node") return flaws.get(value);
  if (leaf.kind === "random") return undefined;
  // A parameter's value from before an update is gone; what was computed from it was checked then.
  if (leaf.kind === "state" && leaf.version !== leaf.storage.version) return undefined;
  return flawOf(leafData(value));
}

/** Returns the origin of a flawed value: the first output made of sound values, or a leaf. */
function origin(value: Value): Value {
  const { producer } = value;
  if (producer.kind !== "node") return value;
  const inputs = producer.inputs.map((input) => ({ input, flaw: flawed(input) }));
  const nan = inputs.find(({ flaw }) => flaw === "nan");
  if (nan !== undefined) return origin(nan.input);
  for (const { input, flaw } of inputs) {
    if (flaw === undefined) continue;
    const first = origin(input);
    // An infinity that the program itself put there, such as a mask's, is sound: a NaN made of it is not.
    if (first.producer.kind === "node" || flaws.get(value) === "inf") return first;
  }
  return value;
}

/** Functions with a hint of their own. */
const HINTS: readonly [ops: ReadonlySet<string>, hint: string][] = [
  [
    new Set([
      "log",
      "log1p",
      "div",
      "reciprocal",
      "rsqrt",
      "sqrt",
      "pow",
      "norm",
      "acos",
      "asin",
      "acosh",
      "atanh",
    ]),
    "keep what it is given away from 0 and within its domain: x.clamp({ min: 1e-8 }), log(x + 1e-8); or take a loss that does (CrossEntropyLoss, BCEWithLogitsLoss)",
  ],
  [
    new Set(["exp", "expm1", "sinh", "cosh"]),
    "exp overflows above 88: use softmax, logSoftmax or logsumexp, which subtract the maximum, or clamp what it is given",
  ],
  [
    new Set(["softmax", "logSoftmax"]),
    "a row that is masked completely has no softmax: leave one value in it",
  ],
];
const GROWN =
  "values have grown without bound: try a smaller learning rate, gradientClipVal: 1, or normalised inputs";

function explained(value: Value, read: (value: Value) => HostArray): AnomalyError {
  const { producer } = value;
  if (producer.kind === "node") return explainedNode(producer, flaws.get(value)!, read);
  const flaw = flawed(value);
  const what = flaw === "nan" ? "NaN values" : "infinite values";
  if (producer.kind === "state")
    return new AnomalyError(
      `a parameter or buffer of ${formatShape(value.shape)} had ${what} before the step`,
      {
        hint: GROWN,
        storage: producer.storage,
      },
    );
  return new AnomalyError(`an input of ${formatShape(value.shape)} has ${what}`, {
    hint: "look for missing values in the data, and for divisions by a standard deviation of 0 where it is normalised",
  });
}

function explainedNode(node: Node, flaw: Flaw, read: (value: Value) => HostArray): AnomalyError {
  const { forward } = node;
  const name = forward === undefined ? node.op.name : gradientFunction(forward.op);
  const given = node.inputs.flatMap((input) => {
    const range = input.dtype === "float32" ? rangeOf(input, read) : undefined;
    return range === undefined ? [] : [`${formatShape(input.shape)} from ${range}`];
  });
  const of = given.length === 0 ? "" : `, given values of ${given.slice(0, 3).join(" and ")}`;
  const rows = flawedRowsOf(node, read);
  const own = HINTS.find(([ops]) => ops.has((forward ?? node).op.name) || ops.has(node.op.name));
  return new AnomalyError(`Function '${name}' returned ${flaw} values${of}`, {
    hint: own?.[1] ?? GROWN,
    ...(rows && { rows }),
    module: (forward ?? node).module,
    sites: sitesOf(forward ?? node),
  });
}

function flawedRowsOf(node: Node, read: (value: Value) => HostArray): ReturnedRows | undefined {
  const value = node.outputs.find((output) => flaws.has(output));
  try {
    const rows = value && flawedRows(read(value), value.shape);
    return rows && { ...rows, madeOf: (other) => isAmongInputs(other, [value]) };
  } catch {
    // Computed in an earlier part of the step, and not kept.
    return undefined;
  }
}

/** Nodes searched backwards for a call of the user's: a loss has several functions, none of which is one. */
const DEPTH = 16;

function sitesOf(node: Node): Error[] {
  const sites: Error[] = [];
  for (let one: Node | undefined = node, i = 0; one !== undefined && i < DEPTH; i++) {
    if (one.site !== undefined) sites.push(one.site);
    one = one.inputs.map(({ producer }) => producer).find((producer) => producer.kind === "node");
  }
  return sites;
}

function rangeOf(value: Value, read: (value: Value) => HostArray): string | undefined {
  let data: HostArray;
  try {
    data = value.producer.kind === "node" && value.data === undefined ? read(value) : leafData(value);
  } catch {
    // Computed in an earlier part of the step, and not kept.
    return undefined;
  }
  if (data.length === 0) return undefined;
  let [low, high] = [Infinity, -Infinity];
  for (const x of data) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return `${shortNumber(low)} to ${shortNumber(high)}`;
}

/** At most four digits, and from 1e8 on an exponent: "0.0123", "-3.007e+19". */
function shortNumber(x: number): string {
  const rounded = Number(x.toPrecision(4));
  return Math.abs(rounded) >= 1e8 && Number.isFinite(rounded) ? rounded.toExponential() : String(rounded);
}
