import { TensorError } from "../../tensor/core/errors.ts";

/** The value of one hyperparameter. */
export type Setting = number | string | boolean;

/** A domain as data; protocol/sweep.ts has its schema, and users' type checkers no schemas. */
export type DomainSpec =
  | { kind: "choice"; values: Setting[]; default: Setting }
  | { kind: "float" | "int"; low: number; high: number; step?: number; log: boolean; default: number };

/** The values that a hyperparameter can take in a sweep. Made by {@link sweep}. */
export class Domain<T extends Setting = Setting> {
  /** @internal */
  readonly spec: DomainSpec;
  /** The value that a training outside of a sweep has. */
  readonly initial: T;

  /** @internal */
  constructor(spec: DomainSpec) {
    this.spec = spec;
    this.initial = spec.default as T;
  }

  /**
   * The same values, with another default: the value that "Train" takes.
   * @throws TensorError for a value that the domain doesn't have
   */
  default(value: T): Domain<T> {
    const checked = checkedSetting("default", this.spec, value);
    if (!includes(this.spec, checked))
      throw new TensorError(
        "value",
        `sweep: the default ${show(value)} is not in ${describeDomain(this.spec)}`,
      );
    return new Domain<T>({ ...this.spec, default: checked } as DomainSpec);
  }
}

/** Hyperparameters by name. */
export type SearchSpace = Readonly<Record<string, Domain>>;

/** The values of a search space's hyperparameters: what an experiment's functions get as `settings`. */
export type SettingsOf<S> = { readonly [K in keyof S]: S[K] extends Domain<infer T> ? T : never };

/** Options of a float's domain. */
export interface UniformOptions {
  /** Distance of two neighbouring values, counted from `low`; continuous without it. */
  step?: number;
}

/** Options of an integer's domain. */
export interface IntOptions {
  /** Distance of two neighbouring values, counted from `low`; 1 by default. */
  step?: number;
  /** Whether the logarithm is uniform; false by default. */
  log?: boolean;
}

/**
 * Domains of hyperparameters, for an experiment's `sweep`:
 *
 * ```ts
 * sweep: { lr: sweep.logUniform(1e-4, 1e-1), width: sweep.choice(32, 64, 128), layers: sweep.int(1, 4) },
 * model: ({ width, layers }) => new Net(width, layers),
 * optimizer: (parameters, { lr }) => new optim.Adam(parameters, { lr }),
 * ```
 *
 * Outside of a sweep, a hyperparameter has its default: the first value of a choice, the middle of a range (of the
 * logarithms for `logUniform`), or what `.default(value)` names.
 */
export const sweep = {
  /** A number from `low` to `high`, each as likely. Default: the middle. */
  uniform(low: number, high: number, { step }: UniformOptions = {}): Domain<number> {
    demandRange("uniform", low, high, step);
    return range("float", { low, high, ...(step === undefined ? {} : { step }), log: false });
  },

  /** A number from `low` to `high`, each order of magnitude as likely. Default: the geometric mean. */
  logUniform(low: number, high: number): Domain<number> {
    demandRange("logUniform", low, high);
    if (low <= 0) fail(`logUniform(${low}, ${high}) needs positive bounds`);
    return range("float", { low, high, log: true });
  },

  /** A whole number from `low` to `high`, both included. Default: the middle, rounded down. */
  int(low: number, high: number, { step = 1, log = false }: IntOptions = {}): Domain<number> {
    demandRange("int", low, high, step);
    if (![low, high, step].every(Number.isSafeInteger)) fail(`int(${low}, ${high}) needs whole numbers`);
    if (log && (low <= 0 || step !== 1))
      fail(`int(${low}, ${high}, { log: true }) needs positive bounds and no step`);
    return range("int", { low, high, step, log });
  },

  /** One of the values. Default: the first. */
  choice<const T extends readonly [Setting, ...Setting[]]>(...values: T): Domain<T[number]> {
    const bad = values.find((value) => !isSetting(value));
    if (values.length === 0) fail("choice() needs values");
    if (bad !== undefined)
      fail(
        `choice() takes numbers, texts and booleans, got ${Array.isArray(bad) ? "a list" : typeof bad}`,
        Array.isArray(bad)
          ? "write sweep.choice(32, 64), without brackets"
          : 'choose by a name: sweep.choice("relu", "gelu")',
      );
    if (new Set(values).size < values.length) fail("choice() got the same value twice");
    return new Domain<T[number]>({ kind: "choice", values: [...values], default: values[0] });
  },
} as const;

type Range = Extract<DomainSpec, { low: number }>;

function range(kind: Range["kind"], bounds: Omit<Range, "kind" | "default">): Domain<number> {
  const { low, high, log } = bounds;
  const middle = log ? Math.sqrt(low) * Math.sqrt(high) : low / 2 + high / 2;
  const spec = { kind, ...bounds, default: middle } as const;
  return new Domain<number>({ ...spec, default: onGrid(spec, middle) });
}

/** The nearest value of a range at or below `value`. */
function onGrid({ kind, low, step }: Range, value: number): number {
  if (step === undefined) return value;
  const steps = Math.floor((value - low) / step + 1e-9);
  const there = low + steps * step;
  // 3 × 0.1 is written as 0.3.
  return kind === "int" ? Math.round(there) : Number(there.toPrecision(12));
}

function demandRange(name: string, low: number, high: number, step?: number): void {
  if (!Number.isFinite(low) || !Number.isFinite(high)) fail(`${name}(${low}, ${high}) needs finite bounds`);
  if (low > high) fail(`${name}(${low}, ${high}) has its bounds in the wrong order`);
  if (step !== undefined && !(step > 0 && Number.isFinite(step)))
    fail(`${name}() needs a positive step, got ${step}`);
}

/** The settings of an experiment outside of a sweep. */
export function defaultSettings(space: SearchSpace): Record<string, Setting> {
  return Object.fromEntries(Object.entries(space).map(([name, { initial }]) => [name, initial]));
}

/** Space as data. */
export function describeSpace(space: SearchSpace): Record<string, DomainSpec> {
  return Object.fromEntries(Object.entries(space).map(([name, { spec }]) => [name, spec]));
}

/**
 * Completes settings with defaults, and takes texts for the values that they name. A value may be outside of the
 * domain: a run's settings outlive changes of the file.
 * @throws TensorError for an unknown name or another type
 */
export function completeSettings(
  space: SearchSpace,
  given: Readonly<Record<string, Setting>>,
): Record<string, Setting> {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(space, name));
  if (unknown !== undefined) {
    const names = Object.keys(space);
    throw new TensorError(
      "value",
      `The experiment has no hyperparameter '${unknown}'`,
      names.length === 0 ? "it has no sweep" : `its sweep has ${names.join(", ")}`,
    );
  }
  return Object.fromEntries(
    Object.entries(space).map(([name, { spec, initial }]) => [
      name,
      Object.hasOwn(given, name) ? checkedSetting(name, spec, given[name]!) : initial,
    ]),
  );
}

function checkedSetting(name: string, spec: DomainSpec, value: Setting): Setting {
  if (spec.kind === "choice") {
    if (spec.values.includes(value)) return value;
    const named = spec.values.find((one) => String(one) === String(value));
    if (named !== undefined) return named;
    if (spec.values.some((one) => typeof one === typeof value)) return value;
  } else {
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (
      typeof number === "number" &&
      (spec.kind === "float" ? Number.isFinite(number) : Number.isSafeInteger(number))
    )
      return number;
  }
  throw new TensorError(
    "value",
    `sweep: expected ${name} to be of ${describeDomain(spec)}, got ${show(value)}`,
  );
}

function includes(spec: DomainSpec, value: Setting): boolean {
  if (spec.kind === "choice") return spec.values.includes(value);
  if (typeof value !== "number" || value < spec.low || value > spec.high) return false;
  const steps = spec.step === undefined ? 0 : (value - spec.low) / spec.step;
  return Math.abs(steps - Math.round(steps)) < 1e-6;
}

/** A domain as code: `choice(32, 64)`, `logUniform(0.0001, 0.1)`. */
function describeDomain(spec: DomainSpec): string {
  if (spec.kind === "choice") return `choice(${spec.values.map(show).join(", ")})`;
  const name = spec.kind === "int" ? "int" : spec.log ? "logUniform" : "uniform";
  return `${name}(${spec.low}, ${spec.high})`;
}

const show = (value: Setting): string => (typeof value === "string" ? JSON.stringify(value) : String(value));

function isSetting(value: unknown): value is Setting {
  return (
    typeof value === "string" ||
    typeof value === "boolean" ||
    (typeof value === "number" && Number.isFinite(value))
  );
}

function fail(problem: string, hint?: string): never {
  throw new TensorError("value", `sweep.${problem}`, hint);
}
