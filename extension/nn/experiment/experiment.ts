import { demandCallbacks, demandMaker, demandNoClass } from "./givenFunctions.ts";
import { demandFreeName } from "./metricNames.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { SITE } from "../../tensor/recording/scope.ts";
import type { ExperimentOptions, MaxTime, Optimizers } from "./experimentOptions.ts";
import type { Module } from "../module/module.ts";
import { completeSettings, defaultSettings, Domain, type SearchSpace, type Setting } from "./searchSpace.ts";

export type * from "./experimentOptions.ts";

/** Options whose functions take hyperparameters. */
type Swept = ExperimentOptions<Module, Optimizers, SearchSpace>;

/** A model with its data and all that training it takes. Made by {@link experiment}; run by the engine. */
export class Experiment {
  /** With the hyperparameters at their values: its functions take none. */
  readonly options: Readonly<ExperimentOptions>;
  /** @internal */
  readonly space: SearchSpace;
  /** Values of its hyperparameters, by name. */
  readonly settings: Readonly<Record<string, Setting>>;
  /** @internal The stack of the call that made it. */
  readonly site: Error;
  /** @internal */
  readonly given: Swept;

  /** @internal */
  constructor(
    given: Swept | ExperimentOptions,
    settings?: Readonly<Record<string, Setting>>,
    site = new Error(SITE),
  ) {
    this.site = site;
    this.given = given as Swept;
    this.space = this.given.sweep ?? {};
    this.settings = settings ?? defaultSettings(this.space);
    this.options = bind(this.given, this.settings);
  }

  /**
   * The experiment with hyperparameters at other values; the others have their defaults.
   * @throws TensorError for an unknown name or a value of another type
   */
  with(settings: Readonly<Record<string, Setting>>): Experiment {
    return new Experiment(this.given, completeSettings(this.space, settings), this.site);
  }
}

/** Options with the hyperparameters at their values. */
function bind(given: Swept, settings: Readonly<Record<string, Setting>>): ExperimentOptions {
  const { sweep, configure, model, data, optimizer, lrScheduler, ...rest } = given;
  // Its functions take no settings.
  if (sweep === undefined) return given;
  const configured = configure?.(settings) ?? {};
  checkValues(configured);
  const names = Object.keys(CHECKS).filter((name) => !FIXED.includes(name));
  demandKnown(configured, names, "experiment(): configure() gave an unexpected option");
  const bound: ExperimentOptions = {
    ...rest,
    ...configured,
    model: () => model(settings),
    data: typeof data === "function" ? () => data(settings) : data,
    optimizer: (parameters, made) => optimizer(parameters, settings, made),
    ...(lrScheduler === undefined ? {} : { lrScheduler: (made) => lrScheduler(made, settings) }),
  };
  demandStep(bound);
  return bound;
}

/**
 * Defines what is trained, on what and how. Export it, and "Train" in the editor or `layerwise train FILE` runs it:
 *
 * ```ts
 * export default experiment({
 *   seed: 0,
 *   model: () => new SimpleNN(10, 5, 2),
 *   data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
 *   loss: new nn.CrossEntropyLoss(),
 *   optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
 *   epochs: 100,
 * });
 * ```
 *
 * Nothing is built or computed here. The default step is PyTorch's loop: `optimizer.zeroGrad()`, forward, loss,
 * `loss.backward()`, `optimizer.step()`. Names and defaults of what is around it are Lightning's.
 *
 * @throws TensorError naming the option that is missing or wrong
 */
export function experiment<M extends Module, O extends Optimizers, S extends SearchSpace = {}>(
  options: ExperimentOptions<M, O, S>,
): Experiment {
  checkValues(options, REQUIRED);
  if (options.sweep === undefined) demandStep(options);
  demandKnown(options, Object.keys(CHECKS), "experiment() got an unexpected option");
  for (const name of ["configure", "objective"] as const)
    if (options.sweep === undefined && options[name] !== undefined)
      throw new TensorError("value", `experiment(): ${name} has no effect without a sweep`);
  // The functions that take the model and its optimizers are only ever given those that the options' own made.
  return new Experiment(options as unknown as Swept);
}

/** @throws TensorError for an option that is wrong or missing */
function checkValues(options: object, required: ReadonlySet<string> = new Set()): void {
  for (const [name, check] of Object.entries(CHECKS)) {
    const value: unknown = Reflect.get(options, name);
    if (value !== undefined || required.has(name)) check(name, value);
  }
}

/** @throws TensorError for another option than those */
function demandKnown(options: object, names: readonly string[], problem: string): void {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new TensorError("value", `${problem} '${unknown}'`, `options are ${names.join(", ")}`);
}

type StepOptions = Pick<ExperimentOptions, "loss" | "gradientClipVal" | "accumulateGradBatches"> & {
  trainStep?: unknown;
};

/** @throws TensorError when there is nothing to train by, or options have no effect on a step of the user's own */
function demandStep(options: StepOptions): void {
  if (options.trainStep === undefined && options.loss === undefined)
    fail("loss", "a loss such as new nn.CrossEntropyLoss(), or a trainStep");
  if (options.trainStep !== undefined) {
    const own = (["gradientClipVal", "accumulateGradBatches"] as const).find(
      (name) => options[name] !== undefined,
    );
    if (own !== undefined)
      throw new TensorError(
        "value",
        `experiment(): ${own} has no effect on a trainStep, which steps its optimizers itself`,
        own === "gradientClipVal"
          ? "call nn.utils.clipGradNorm_(model.parameters(), …) before optimizer.step()"
          : "call optimizer.zeroGrad() and optimizer.step() in some of the steps only",
      );
  }
}

type Check = (name: string, value: unknown) => void;

const REQUIRED: ReadonlySet<string> = new Set(["model", "data", "optimizer", "epochs"]);
/** Options that `configure` can't give: their functions get the settings, or they say what is swept. */
const FIXED = ["seed", "sweep", "objective", "configure", "model", "data", "optimizer", "lrScheduler"];

/** Every option, in the order in which they are checked and listed. */
const CHECKS: Record<keyof ExperimentOptions, Check> = {
  seed: matches("a whole number", Number.isInteger),
  sweep: matches(
    "hyperparameters by name, such as { lr: sweep.logUniform(1e-4, 1e-1) }",
    (value) =>
      isObject(value) &&
      Object.entries(value as object).every(
        ([name, one]) => /^[A-Za-z_$][\w$]{0,99}$/.test(name) && one instanceof Domain,
      ),
  ),
  objective: section({ metric: text, mode: oneOf("min", "max") }, false),
  configure: func,
  model: (name, value) => {
    func(name, value);
    demandMaker(name, value as object);
  },
  data: (name, value) => {
    if (value === undefined || value === null) fail(name, "a data set, or a function that makes one");
    demandNoClass(name, value);
  },
  loss: func,
  optimizer: func,
  lrScheduler: func,
  epochs: whole(1),
  batchSize: whole(1),
  shuffle: boolean,
  validation: matches(
    "a fraction between 0 and 1, or a data set",
    (value) => typeof value !== "number" || (value > 0 && value < 1),
  ),
  metrics: (name, value) => {
    matches("a list of names, or metrics by name", isObject)(name, value);
    if (!Array.isArray(value))
      for (const [key, one] of Object.entries(value as object)) {
        demandFreeName(key, "a metric");
        demandNoClass(`${name}.${key}`, one);
        if (key === "loss") fail("a metric's name", "another than that of the loss", key);
      }
  },
  trainStep: func,
  validationStep: func,
  callbacks: (name, value) => {
    demandNoClass(name, value);
    matches("an object of functions, or a list of such", isObject)(name, value);
    demandCallbacks(name, value as object);
  },
  classes: matches("a list of names", Array.isArray),
  logEvery: whole(1),
  tensorboard: boolean,
  earlyStopping: section({
    monitor: text,
    patience: whole(0),
    minDelta: number(0),
    mode: oneOf("min", "max"),
    checkFinite: boolean,
    stoppingThreshold: number(-Infinity),
    divergenceThreshold: number(-Infinity),
  }),
  checkpoints: section({
    monitor: text,
    mode: oneOf("min", "max"),
    saveTopK: whole(-1),
    saveLast: boolean,
    everyNEpochs: whole(1),
    everyNTrainSteps: whole(1),
    trainTimeInterval: (name, value) => void secondsOf(value as MaxTime, name),
  }),
  terminateOnNan: boolean,
  rollback: section({ lrFactor: number(0), attempts: whole(1) }),
  detectAnomaly: boolean,
  watch: section({ logFreq: whole(1) }),
  gradientClipVal: number(0),
  gradientClipAlgorithm: oneOf("norm", "value"),
  accumulateGradBatches: whole(1),
  overfitBatches: share(false),
  fastDevRun: (name, value) => {
    if (typeof value !== "boolean") whole(0)(name, value);
  },
  limitTrainBatches: share(false),
  limitValBatches: share(true),
  numSanityValSteps: whole(-1),
  valCheckInterval: share(false),
  checkValEveryNEpoch: whole(1),
  maxSteps: whole(-1),
  maxTime: (name, value) => void secondsOf(value as MaxTime, name),
  minEpochs: whole(0),
  minSteps: whole(0),
};

const UNITS = ["days", "hours", "minutes", "seconds"] as const;

/**
 * A span of time in seconds.
 * @throws TensorError when it is none
 */
export function secondsOf(time: MaxTime, name = "maxTime"): number {
  const expected = 'seconds, "DD:HH:MM:SS" or { days, hours, minutes, seconds }';
  const parts =
    typeof time === "string" ? /^(\d+):(\d\d):(\d\d):(\d\d)$/.exec(time)?.slice(1).map(Number) : undefined;
  if (typeof time === "string" && parts === undefined) fail(name, expected, time);
  if (typeof time === "number" && time >= 0) return time;
  const [days, hours, minutes, seconds] =
    parts ??
    [time as Exclude<MaxTime, number | string>].flatMap((span) => UNITS.map((unit) => span?.[unit] ?? 0));
  const total = ((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!;
  const known = isObject(time) ? Object.keys(time).every((unit) => UNITS.some((one) => one === unit)) : true;
  if (!known || !(total >= 0)) fail(name, expected, known ? time : JSON.stringify(time));
  return isObject(time) || parts !== undefined ? total : fail(name, expected, time);
}

function matches(expected: string, test: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (!test(value)) fail(name, expected, value);
  };
}

function func(name: string, value: unknown): void {
  if (typeof value !== "function") fail(name, "a function", value);
  demandNoClass(name, value);
}

function boolean(name: string, value: unknown): void {
  if (typeof value !== "boolean") fail(name, "true or false", value);
}

function text(name: string, value: unknown): void {
  if (typeof value !== "string") fail(name, "a name", value);
}

function whole(least: number): Check {
  return matches(
    `a whole number of at least ${least}`,
    (value) => Number.isInteger(value) && (value as number) >= least,
  );
}

function number(least: number): Check {
  const expected = least === -Infinity ? "a number" : `a number of at least ${least}`;
  return matches(expected, (value) => typeof value === "number" && value >= least);
}

/** A number of batches, or a fraction of them. */
function share(zero: boolean): Check {
  return matches(
    `a whole number of batches, or a fraction below 1${zero ? "" : ", and not 0"}`,
    (value) =>
      typeof value === "number" &&
      (value > 0 || (zero && value === 0)) &&
      (value < 1 || Number.isInteger(value)),
  );
}

function oneOf(...names: readonly string[]): Check {
  const expected = names.map((name) => `"${name}"`).join(" or ");
  return matches(expected, (value) => names.includes(value as string));
}

/** An object of options, or true or false. */
function section(checks: Readonly<Record<string, Check>>, switched = true): Check {
  return (name, value) => {
    if (switched && typeof value === "boolean") return;
    if (!isObject(value)) fail(name, `${switched ? "true, false or " : ""}an object of options`, value);
    for (const [key, one] of Object.entries(value as object)) {
      const check = checks[key];
      if (check === undefined)
        throw new TensorError(
          "value",
          `experiment(): ${name} got an unexpected option '${key}'`,
          `options are ${Object.keys(checks).join(", ")}`,
        );
      if (one !== undefined) check(`${name}.${key}`, one);
    }
  };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function fail(name: string, expected: string, value?: unknown): never {
  throw new TensorError("value", `experiment(): expected ${name} to be ${expected}, got ${describe(value)}`);
}

function describe(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  return typeof value === "object" && value !== null ? value.constructor.name : String(value);
}
