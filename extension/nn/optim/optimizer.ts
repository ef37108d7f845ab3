import { Tensor } from "../../tensor/core/tensor.ts";
import { kindOf, TensorError } from "../../tensor/core/errors.ts";
import { lerp, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { onRefusal, refuse, step as computeStep } from "../../tensor/planning/barrier.ts";
import { scalarTensor } from "../../tensor/recording/apply.ts";
import { zeroGradients } from "../../tensor/recording/gradientHooks.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { hidden, noGrad, withGradients } from "../../tensor/recording/scope.ts";
import { givenIn } from "../arguments.ts";
import { DEEPCOPY, deepcopy } from "../module/copy.ts";
import type { HookOptions, RemovableHandle } from "../module/hookList.ts";
import { py, pyFloat, snakeCase, type PyValue } from "../module/repr.ts";
import {
  alias,
  camelCase,
  DUPLICATES_WARNING,
  groupsOf,
  named,
  readTensors,
  SCHEDULED,
  type AnyOptions,
  type BaseOptions,
  type ParamGroup,
  type ParamGroupInput,
  type Params,
} from "./groups.ts";
import {
  numberOf,
  ParamStates,
  remember,
  restored,
  type OptimizerStateDict,
  type ParamState,
} from "./state.ts";
import { stateDictHooks, type OptimizerStateDictHook, type OptimizerStateHook } from "./stateDictHooks.ts";
import { warnOnce } from "../warnings.ts";
import { stepHooks, type StepPostHook, type StepPreHook } from "./stepHooks.ts";

export type { OptimizerStateDict, SavedState } from "./state.ts";

/** Schedules that are still to make their initial step. */
const waiting: (() => void)[] = [];

/** Calls `start` before the next step of any optimizer: an optimizer may consist of others. */
export function beforeStep(start: () => void): void {
  waiting.push(start);
}

export function beginSchedules(): void {
  if (waiting.length > 0) for (const start of waiting.splice(0)) start();
}

/** Throws a TensorError unless the condition holds. */
export function require(condition: boolean, message: string): void {
  if (!condition) throw new TensorError("value", message);
}

/**
 * Base class of all optimizers: groups of parameters, and the state of each parameter. A subclass of your own
 * overrides `step`; names of its state and options are saved unchanged.
 *
 * ```ts
 * class Descent extends torch.optim.Optimizer {
 *   constructor(params: Iterable<Tensor>, { lr = 0.1 } = {}) {
 *     super(params, { lr });
 *   }
 *   override step(): void {
 *     torch.noGrad(() => {
 *       for (const group of this.paramGroups)
 *         for (const p of group.params) p.sub_(p.grad!, { alpha: group.lr });
 *     });
 *   }
 * }
 * ```
 * @see https://docs.pytorch.org/docs/stable/optim.html
 */
export class Optimizer<O extends BaseOptions = AnyOptions> {
  paramGroups: ParamGroup<O>[] = [];
  /** By parameter; empty before the first step. */
  state = new ParamStates();
  readonly defaults: Readonly<O>;
  /** Options that are ints in PyTorch; other numbers are floats even when they are whole. */
  protected readonly integers: readonly string[] = [];
  /** Floats whose default PyTorch writes as a float, though it is whole. */
  protected readonly floats: readonly string[] = [];
  /** The options that were given for each group: a default is printed as PyTorch writes it. */
  private readonly given = new WeakMap<object, ReadonlySet<string>>();
  /** State that is one number for each parameter. */
  protected readonly numbers: readonly string[] = ["step"];
  /** Whether a step was made: schedules warn when they are stepped first. */
  stepped = false;
  /** Numbers that change from step to step, as inputs of the step under way; shared within a group. */
  private readonly scalars: { readonly name: string; readonly value: number; readonly input: Tensor }[] = [];

  /** @param defaults options of the groups that don't have their own */
  constructor(params: Params<O>, defaults: Partial<O>) {
    this.defaults = defaults as O;
    if (this.isCustom) this.step = this.around();
    for (const group of groupsOf(params)) this.addParamGroup(group);
  }

  /** Whether the program defines the step, and so names the state. */
  private get isCustom(): boolean {
    return this.updateParameter === Optimizer.prototype.updateParameter;
  }

  /**
   * Runs `hook` before each step, with the optimizer and the arguments of `step`. A pair that it returns replaces them.
   * @returns a handle that removes it
   */
  registerStepPreHook(hook: StepPreHook): RemovableHandle {
    return stepHooks(this).before.add(hook);
  }

  /**
   * Runs `hook` after each step, with the optimizer and the arguments of `step`.
   * @returns a handle that removes it
   */
  registerStepPostHook(hook: StepPostHook): RemovableHandle {
    return stepHooks(this).after.add(hook);
  }

  /** Runs `hook` before the state is saved. */
  registerStateDictPreHook(hook: OptimizerStateHook, options?: HookOptions): RemovableHandle {
    return stateDictHooks(this).beforeSave.add(hook, options);
  }

  /** Runs `hook` with each saved state; a state that it returns replaces it. */
  registerStateDictPostHook(hook: OptimizerStateDictHook, options?: HookOptions): RemovableHandle {
    return stateDictHooks(this).afterSave.add(hook, options);
  }

  /** Runs `hook` with each state before it is loaded; a state that it returns replaces it. */
  registerLoadStateDictPreHook(hook: OptimizerStateDictHook, options?: HookOptions): RemovableHandle {
    return stateDictHooks(this).beforeLoad.add(hook, options);
  }

  /** Runs `hook` after a state was loaded. */
  registerLoadStateDictPostHook(hook: OptimizerStateHook, options?: HookOptions): RemovableHandle {
    return stateDictHooks(this).afterLoad.add(hook, options);
  }

  /** Wraps a program's `step` in what every step does before and after it. */
  private around(): Optimizer["step"] {
    const step: (closure?: () => unknown) => unknown = this.step.bind(this);
    return <T>(closure?: () => T) => {
      beginSchedules();
      const loss = (closure === undefined ? step() : step(closure)) as T;
      this.stepped = true;
      computeStep();
      return loss;
    };
  }

  /**
   * Adds parameters to optimize, with their own options. Pairs of a name and a parameter, as `namedParameters()` gives
   * them, set the group's `paramNames`.
   * @throws TensorError for a tensor that is not a leaf, or is in another group already
   */
  addParamGroup(group: ParamGroupInput<O>): void {
    const { params, ...names } = named(group.params);
    const known = new Set(this.paramGroups.flatMap((g) => g.params));
    for (const p of params) {
      if (!(p instanceof Tensor)) {
        throw new TensorError(
          "value",
          `optimizer can only optimize Tensors, but one of the params is ${kindOf(p)}`,
        );
      }
      require(p.isLeaf, "can't optimize a non-leaf Tensor");
      require(!known.has(p), "some parameters appear in more than one parameter group");
      p.persist();
    }
    if (new Set(params).size !== params.length) warnOnce(DUPLICATES_WARNING);
    const isNamed = "paramNames" in names || "paramNames" in group || "param_names" in group;
    for (const other of this.paramGroups)
      require("paramNames" in other ===
        isNamed, `all optimizer param groups should be with/without names. cannot add param group ${isNamed ? "with" : "without"} names to the optimizer`);
    const own = Object.fromEntries(
      Object.entries(group).map(([name, value]) => [
        camelCase(name) in this.defaults ? camelCase(name) : name,
        value,
      ]),
    );
    // A group's own options come first, as where PyTorch adds the defaults that it lacks.
    const options = { ...own, ...this.defaults, ...own, params, ...names } as ParamGroup<O>;
    this.readTensors(options);
    for (const name of [...Object.keys(this.defaults), ...SCHEDULED, ...Object.keys(names)])
      alias(options, name);
    this.given.set(options, new Set([...givenIn(this.defaults), ...Object.keys(own)]));
    this.paramGroups.push(options);
  }

  /** Options of a group that are tensors become the numbers that these hold; a program's own optimizer keeps them. */
  protected readTensors(group: ParamGroup<O>): void {
    if (!this.isCustom) readTensors(group, Object.keys(this.defaults));
  }

  /** Clears all gradients; with `setToNone` false, existing ones become zeros, in place. */
  zeroGrad(setToNone: boolean | { setToNone?: boolean } = true): void {
    for (const { params } of this.paramGroups) zeroGradients(params, setToNone);
  }

  /**
   * Updates every parameter that has a gradient, and computes it all: forward, backward and update.
   * @param closure recomputes the loss before the update
   * @returns the closure's result
   */
  step(): void;
  step<T>(closure: () => T): T;
  step<T>(closure?: () => T): T | undefined {
    beginSchedules();
    const loss = closure === undefined ? undefined : withGradients(true, closure);
    onRefusal(this.remembered());
    this.stepped = true;
    try {
      noGrad(() =>
        hidden(() => {
          for (const group of this.paramGroups) {
            this.scalars.length = 0;
            this.readTensors(group);
            for (const p of group.params) {
              if (p.grad === null) continue;
              this.updateParameter(p, p.grad, group, this.state.get(p));
            }
          }
        }),
      );
    } catch (error) {
      refuse();
      throw error;
    } finally {
      this.scalars.length = 0;
    }
    computeStep();
    return loss;
  }

  /** Returns a function that restores the host's side of the state: numbers, and which tensors exist. */
  protected remembered(): () => void {
    const { stepped } = this;
    // At each step: lists, which are made faster than objects.
    const before: { state: ParamState; names: string[]; values: ParamState[string][] }[] = [];
    for (const state of this.state.values())
      before.push({ state, names: Object.keys(state), values: Object.values(state) });
    return () => {
      this.stepped = stepped;
      const known = new Set(before.map(({ state }) => state));
      for (const [p, state] of this.state) if (!known.has(state)) this.state.delete(p);
      for (const { state, names, values } of before) {
        for (const name of Object.keys(state)) if (!names.includes(name)) delete state[name];
        names.forEach((name, i) => (state[name] = values[i]!));
      }
    };
  }

  /** Updates one parameter `p` by its gradient `g`. */
  protected updateParameter(_p: Tensor, _g: Tensor, _group: ParamGroup<O>, _state: ParamState): void {
    throw new TensorError(
      "value",
      `Optimizer [${this.constructor.name}] is missing the required "step" function`,
    );
  }

  /**
   * A number that changes between steps: an input of the compiled step, not a constant. The name keeps numbers apart
   * that happen to be equal in some step, so that all steps are one graph.
   */
  protected varying(name: string, value: number): Tensor {
    // There are a handful of them: making keys would take longer than a linear search.
    for (const known of this.scalars)
      if (known.name === name && Object.is(known.value, value)) return known.input;
    const input = scalarTensor(value, true);
    this.scalars.push({ name, value, input });
    return input;
  }

  /** Returns the parameter, shrunk by decoupled weight decay: the start of the update. */
  protected shrunk(p: Tensor, { lr, weightDecay }: { lr: number; weightDecay: number }): Tensor {
    return weightDecay === 0 ? p : mul(p, this.varying("1 - lr·weightDecay", 1 - lr * weightDecay));
  }

  /** mean + (1 − β)(next − mean), of a β that schedules may cycle. */
  protected towards(mean: Tensor, next: Tensor, beta: number): Tensor {
    return lerp(mean, next, this.varying("1 - beta", 1 - beta));
  }

  /** Everything needed to continue, in PyTorch's structure. Parameters are numbered through all groups. */
  stateDict(): OptimizerStateDict {
    const numbers = new Map<Tensor, number>();
    // A parameter that occurs twice has its first number.
    for (const [i, p] of this.paramGroups.flatMap((g) => g.params).entries())
      if (!numbers.has(p)) numbers.set(p, i);
    const state: OptimizerStateDict["state"] = {};
    for (const [p, remembered] of this.state) {
      const entries = Object.entries(remembered);
      if (entries.length === 0) continue;
      state[numbers.get(p)!] = this.isCustom
        ? { ...remembered }
        : Object.fromEntries(
            entries.map(([name, value]) => [
              snakeCase(name),
              typeof value === "number" ? new Tensor(fillValue(value, [], "float32")) : value.detach(),
            ]),
          );
    }
    const param_groups = this.paramGroups.map(({ params, ...options }) => ({
      ...Object.fromEntries(
        Object.entries(options).map(([name, value]): [string, unknown] => [
          snakeCase(name),
          // A frozen array is a tuple in a file.
          Array.isArray(value) && name in this.defaults ? Object.freeze([...value]) : value,
        ]),
      ),
      params: params.map((p) => numbers.get(p)!),
    }));
    return { state, param_groups };
  }

  /**
   * Continues from a state of {@link stateDict}, copied.
   * @throws TensorError when its groups don't have this optimizer's sizes
   */
  loadStateDict(dict: OptimizerStateDict): void {
    const { state, param_groups: groups } = dict;
    require(groups.length ===
      this.paramGroups.length, "loaded state dict has a different number of parameter groups");
    const sizes = groups.map((g) => (g["params"] as readonly unknown[]).length);
    require(sizes.every(
      (n, i) => n === this.paramGroups[i]!.params.length,
    ), "loaded state dict contains a parameter group that doesn't match the size of optimizer's group");
    this.paramGroups.forEach((group, i) => {
      for (const [name, value] of Object.entries(groups[i]!))
        // A program's own options keep the names that it gave them.
        if (name !== "params") Object.assign(group, { [name in group ? name : camelCase(name)]: value });
      this.readTensors(group);
    });
    const params = this.paramGroups.flatMap((g) => g.params);
    const saved = groups.flatMap((g) => g["params"] as readonly (number | string)[]);
    this.state.clear();
    params.forEach((p, i) => {
      const remembered = state[String(saved[i])];
      if (remembered === undefined) return;
      if (this.isCustom) return void this.state.set(p, deepcopy({ ...remembered }));
      const own: ParamState = {};
      for (const [name, value] of Object.entries(remembered))
        if (typeof value === "number" || value instanceof Tensor) {
          const key = camelCase(name);
          remember(own, key, this.numbers.includes(key) ? numberOf(value) : restored(value));
        }
      this.state.set(p, own);
    });
  }

  /** @internal A copy whose groups and state belong to copied parameters: see `copy.deepcopy`. */
  [DEEPCOPY](deepcopied: <T>(value: T) => T): this {
    const twin = Object.create(Object.getPrototypeOf(this) as object) as this;
    for (const [name, value] of Object.entries(this)) if (name !== "step") Reflect.set(twin, name, value);
    Object.assign(twin, { paramGroups: [], state: new ParamStates(), given: new WeakMap(), scalars: [] });
    if (this.isCustom) twin.step = twin.around();
    for (const { params, ...options } of this.paramGroups) {
      twin.addParamGroup({ ...options, params: params.map(deepcopied) });
    }
    this.paramGroups.forEach((group, i) => {
      const given = this.given.get(group);
      if (given !== undefined) twin.given.set(twin.paramGroups[i]!, given);
    });
    twin.loadStateDict(this.stateDict());
    return twin;
  }

  /** The text of PyTorch's `print(optimizer)`. */
  toString(): string {
    const groups = this.paramGroups.map((group, i) => {
      const lines = Object.entries(group)
        .filter(([name]) => name !== "params")
        .map(([name, value]): [string, string] => [snakeCase(name), this.text(group, name, value as PyValue)])
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, text]) => `    ${name}: ${text}\n`);
      return `\nParameter Group ${i}\n${lines.join("")}`;
    });
    return `${this.constructor.name} (${groups.join("")})`;
  }

  private text(group: ParamGroup<O>, name: string, value: PyValue): string {
    if (typeof value === "string") return value;
    // All other lists are tuples.
    if (name === "paramNames") return `[${(value as readonly string[]).map((one) => py(one)).join(", ")}]`;
    const initial = (this.defaults as unknown as Record<string, unknown>)[name];
    // An option that a schedule or the program has changed prints as a float, too.
    const given = this.given.get(group)?.has(name) === true || value !== initial;
    const float = this.floats.includes(name) || (given && !this.integers.includes(name));
    return typeof value === "number" && float ? pyFloat(value) : py(value);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
