import { TensorError } from "../../tensor/core/errors.ts";
import { cat } from "../../tensor/functions/shape/shape.ts";
import { barrier, refuse, step as computeStep, valuesOf } from "../../tensor/planning/barrier.ts";
import { hidden, noGrad, withGradients } from "../../tensor/recording/scope.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { builtIn } from "./builtIn.ts";
import { beginSchedules, require, type OptimizerStateDict, type SavedState } from "./optimizer.ts";
import { camelCase } from "./groups.ts";
import { strongWolfe, type Point } from "./strongWolfe.ts";

export interface LBFGSOptions {
  /** 1 by default. */
  lr: number;
  /** Iterations of a step; 20 by default. */
  maxIter: number;
  /** Evaluations of the closure in a step; maxIter · 5 / 4 by default. */
  maxEval: number | null;
  /** Stops when no element of the gradient is larger; 1e-7 by default. */
  toleranceGrad: number;
  /** Stops when loss or parameters change less; 1e-9 by default. */
  toleranceChange: number;
  /** Iterations kept in memory; 100 by default. */
  historySize: number;
  /** Steps of length lr, or by a line search. */
  lineSearchFn: "strong_wolfe" | null;
  /** Go uphill. */
  maximize: boolean;
}

/** Memory of L-BFGS: one vector holds the values of all parameters. */
interface Memory {
  funcEvals: number;
  nIter: number;
  /** Coefficients of the last recursion, as long as the history may become: PyTorch saves them, no step needs them. */
  al?: (number | null)[];
  d?: Float32Array;
  t?: number;
  /** Changes of the gradient, of the parameters, and 1 / their product, newest last. */
  oldDirs: Float32Array[];
  oldStps: Float32Array[];
  ro: number[];
  hDiag: number;
  prevFlatGrad?: Float32Array;
  prevLoss?: number;
}

/**
 * L-BFGS (Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116): p ← p + t · d with d = −H g, H the inverse Hessian
 * estimated from the last `historySize` changes of parameters and gradients. `step` needs a closure that clears the
 * gradients, computes the loss and calls `backward()`; it is called many times.
 *
 * Every iteration reads the loss, so vectors are kept and combined on the host; only the closure is a graph.
 * No parameter groups.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.LBFGS(model.parameters());
 * const x = torch.randn(8, 3);
 * optimizer.step(() => {
 *   optimizer.zeroGrad();
 *   const loss = model(x).square().mean();
 *   loss.backward();
 *   return loss;
 * });
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.LBFGS.html
 */
export class LBFGS extends builtIn<
  LBFGSOptions,
  "lr maxIter maxEval toleranceGrad toleranceChange historySize lineSearchFn",
  object
>() {
  /** @internal */
  static override readonly signature = {
    lr: 1,
    maxIter: 20,
    maxEval: null,
    toleranceGrad: 1e-7,
    toleranceChange: 1e-9,
    historySize: 100,
    lineSearchFn: null,
    maximize: false,
  };
  protected override readonly integers = ["maxIter", "maxEval", "historySize"];
  /** Parameters before the step under way moved them. */
  private from: Float32Array[] | undefined;
  private memory: Memory = unused();

  /** @internal */
  static override check(options: LBFGSOptions): void {
    super.check(options);
    options.maxEval ??= Math.floor((options.maxIter * 5) / 4);
  }

  protected override initialize(): void {
    require(this.paramGroups.length === 1, "LBFGS doesn't support per-parameter options (parameter groups)");
  }

  /** Not used: all parameters are updated together. */
  protected override updateParameter(): void {}

  /**
   * Makes up to `maxIter` iterations.
   * @returns the closure's first result
   * @throws TensorError without a closure
   */
  override step(): void;
  override step<T>(closure: () => T): T;
  override step<T>(closure?: () => T): T | undefined {
    if (closure === undefined) {
      throw new TensorError("value", "LBFGS.step() missing 1 required positional argument: 'closure'");
    }
    beginSchedules();
    const forget = this.remembered();
    try {
      return this.iterate(closure);
    } catch (error) {
      refuse();
      forget();
      throw error;
    }
  }

  /** A step that is refused leaves the memory and the parameters as they were. */
  protected override remembered(): () => void {
    const { stepped, memory } = this;
    const { oldDirs, oldStps, ro, al } = memory;
    this.memory = { ...memory, oldDirs: [...oldDirs], oldStps: [...oldStps], ro: [...ro] };
    if (al !== undefined) this.memory.al = [...al];
    this.from = undefined;
    return () => {
      Object.assign(this, { stepped, memory });
      const { from } = this;
      if (from !== undefined) this.put(from);
    };
  }

  private iterate<T>(closure: () => T): T {
    this.stepped = true;
    const group = this.paramGroups[0]!;
    this.readTensors(group);
    const { lr, maxIter, toleranceGrad, toleranceChange, lineSearchFn } = group;
    const maxEval = group.maxEval!;
    require(lineSearchFn === null || lineSearchFn === "strong_wolfe", "only 'strong_wolfe' is supported");
    const { memory } = this;
    let evaluated = this.evaluate(closure);
    const original = evaluated.result;
    let { loss, gradient } = evaluated;
    let evaluations = 1;
    memory.funcEvals++;
    if (largestOf(gradient) <= toleranceGrad) return original;
    for (let n = 1; n <= maxIter; n++) {
      memory.nIter++;
      const d = this.direction(gradient);
      memory.prevFlatGrad = gradient;
      const lossBefore = (memory.prevLoss = loss);
      let t = memory.nIter === 1 ? Math.min(1, 1 / sumOfMagnitudes(gradient)) * lr : lr;
      memory.t = t;
      const slope = dot(gradient, d);
      if (slope > -toleranceChange) break;
      const from = this.parameters();
      this.from ??= from;
      let calls = 0;
      if (lineSearchFn === null) {
        this.move(from, t, d);
        if (n < maxIter) {
          evaluated = this.evaluate(closure);
          ({ loss, gradient } = evaluated);
          calls = 1;
        }
      } else {
        const at = (length: number): Point => {
          this.move(from, length, d);
          const next = this.evaluate(closure);
          return { t: length, loss: next.loss, gradient: next.gradient, slope: dot(next.gradient, d) };
        };
        const origin = { t: 0, loss, gradient, slope };
        const allowed = maxEval - evaluations;
        const found = strongWolfe(at, origin, t, largestOf(d), toleranceChange, allowed);
        ({ t, loss, gradient } = found.point);
        calls = found.evaluations;
        memory.t = t;
        this.move(from, t, d);
      }
      evaluations += calls;
      memory.funcEvals += calls;
      if (evaluations >= maxEval || largestOf(gradient) <= toleranceGrad) break;
      if (largestOf(d) * Math.abs(t) <= toleranceChange) break;
      if (Math.abs(loss - lossBefore) < toleranceChange) break;
    }
    computeStep();
    return original;
  }

  /** Loss and gradient where the parameters are, both computed at once. */
  private evaluate<T>(closure: () => T): { result: T; loss: number; gradient: Float32Array } {
    const result = withGradients(true, closure);
    const { params, maximize } = this.paramGroups[0]!;
    return noGrad(() =>
      hidden(() => {
        const parts = params.map((p) => p.grad?.reshape(-1) ?? zeros(p.numel()));
        const flat = cat(parts);
        const tensor = (result as unknown) instanceof Tensor ? (result as unknown as Tensor) : undefined;
        const wanted = [flat.value, ...(tensor === undefined ? [] : [tensor.value])];
        barrier(wanted.filter((v) => v.producer.kind === "node" && v.data === undefined));
        const value = tensor === undefined ? Number(result) : Number(valuesOf(tensor.value)[0]);
        const gradient = Float32Array.from(valuesOf(flat.value) as Float32Array);
        if (maximize) for (let i = 0; i < gradient.length; i++) gradient[i] = -gradient[i]!;
        return { result, loss: maximize ? -value : value, gradient };
      }),
    );
  }

  /** −H g, after recording the changes of the last iteration: the two-loop recursion. */
  private direction(gradient: Float32Array): Float32Array {
    const { memory } = this;
    const { oldDirs, oldStps, ro, prevFlatGrad, d: before } = memory;
    const d = gradient.map((g) => -g);
    memory.d = d;
    if (prevFlatGrad === undefined || before === undefined) return d;
    const y = gradient.map((g, i) => g - prevFlatGrad[i]!);
    const s = before.map((x) => x * memory.t!);
    const ys = dot(y, s);
    if (ys > 1e-10) {
      if (oldDirs.length === this.paramGroups[0]!.historySize) {
        oldDirs.shift();
        oldStps.shift();
        ro.shift();
      }
      oldDirs.push(y);
      oldStps.push(s);
      // As precise as they are saved: a resumed optimizer makes the same steps.
      ro.push(Math.fround(1 / ys));
      memory.hDiag = Math.fround(ys / dot(y, y));
    }
    const al = (memory.al ??= Array.from({ length: this.paramGroups[0]!.historySize }, () => null));
    for (let i = ro.length - 1; i >= 0; i--) {
      al[i] = dot(oldStps[i]!, d) * ro[i]!;
      addTo(d, -al[i]!, oldDirs[i]!);
    }
    for (let i = 0; i < d.length; i++) d[i] = d[i]! * memory.hDiag;
    for (let i = 0; i < ro.length; i++) addTo(d, al[i]! - dot(oldDirs[i]!, d) * ro[i]!, oldStps[i]!);
    return d;
  }

  private parameters(): Float32Array[] {
    return this.paramGroups[0]!.params.map((p) => Float32Array.from(valuesOf(p.value) as Float32Array));
  }

  /** Parameters to `from + t · d`. */
  private move(from: readonly Float32Array[], t: number, d: Float32Array): void {
    let offset = 0;
    const next = from.map((values) => {
      const at = offset;
      offset += values.length;
      return values.map((x, j) => x + t * d[at + j]!);
    });
    this.put(next);
  }

  private put(values: readonly Float32Array[]): void {
    const { params } = this.paramGroups[0]!;
    noGrad(() => params.forEach((p, i) => p.write(fromHost(values[i]!, p.shape, "float32"))));
  }

  /** PyTorch's structure: the whole state belongs to the first parameter. */
  override stateDict(): OptimizerStateDict {
    const { param_groups } = super.stateDict();
    if (this.memory.funcEvals === 0) return { state: {}, param_groups };
    const { al, d, t, oldDirs, oldStps, ro, hDiag, prevFlatGrad, prevLoss, funcEvals, nIter } = this.memory;
    const saved: Record<string, SavedState> = { func_evals: funcEvals, n_iter: nIter };
    if (al !== undefined) saved["al"] = al.map((x) => (x === null ? null : scalar(x)));
    if (d !== undefined && prevFlatGrad !== undefined) {
      Object.assign(saved, {
        d: vector(d),
        t,
        old_dirs: oldDirs.map(vector),
        old_stps: oldStps.map(vector),
        ro: ro.map(scalar),
        // A number until there is a history, as in PyTorch.
        H_diag: ro.length === 0 ? hDiag : scalar(hDiag),
        prev_flat_grad: vector(prevFlatGrad),
        prev_loss: prevLoss,
      });
    }
    return { state: { 0: saved }, param_groups };
  }

  override loadStateDict(dict: OptimizerStateDict): void {
    super.loadStateDict({ ...dict, state: {} });
    const saved = dict.state["0"] ?? {};
    const memory: Memory = unused();
    const host = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(host);
      if (!(value instanceof Tensor)) return value;
      const values = valuesOf(value.value);
      return value.ndim === 0 ? Number(values[0]) : Float32Array.from(values as Float32Array);
    };
    for (const [name, value] of Object.entries(saved)) {
      const field = name === "H_diag" ? "hDiag" : camelCase(name);
      if (value !== null) Object.assign(memory, { [field]: host(value) });
    }
    this.memory = memory;
  }
}

const unused = (): Memory => ({ funcEvals: 0, nIter: 0, oldDirs: [], oldStps: [], ro: [], hDiag: 1 });

const vector = (values: Float32Array): Tensor => fromHost(values.slice(), [values.length], "float32");

const scalar = (value: number): Tensor => fromHost(Float32Array.of(value), [], "float32");

const zeros = (length: number): Tensor => vector(new Float32Array(length));

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addTo(a: Float32Array, factor: number, b: Float32Array): void {
  for (let i = 0; i < a.length; i++) a[i] = a[i]! + factor * b[i]!;
}

const largestOf = (a: Float32Array): number => a.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
const sumOfMagnitudes = (a: Float32Array): number => a.reduce((sum, x) => sum + Math.abs(x), 0);
