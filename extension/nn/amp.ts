// PyTorch's torch.amp: there is no half precision here, but its lines run where they are switched off, as on a CPU.
import { TensorError } from "../tensor/core/errors.ts";
import { mul } from "../tensor/functions/pointwise/arithmetic.ts";
import { valuesOf } from "../tensor/planning/barrier.ts";
import { noGrad, requireBody } from "../tensor/recording/scope.ts";
import { Tensor } from "../tensor/core/tensor.ts";
import { bind } from "./arguments.ts";
import type { Optimizer } from "./optim/optimizer.ts";
import { warnOnce } from "./warnings.ts";

export interface AutocastOptions {
  /** `"cuda"` is switched off with a warning, since there is none. */
  deviceType: string;
  dtype?: unknown;
  /** Default true. */
  enabled?: boolean;
  cacheEnabled?: boolean | null;
}

/**
 * Runs `body` and returns its result, as `with torch.autocast(…):` does where it is switched off.
 *
 * ```ts
 * const loss = torch.autocast({ deviceType: "cuda" }, () => criterion(model(x), y));
 * ```
 * Switched on for a CPU, it warns and computes in float32: tensors have no half precision.
 * @see https://docs.pytorch.org/docs/stable/amp.html
 */
export function autocast<T>(deviceType: string, body: () => T): T;
export function autocast<T>(deviceType: string, options: Partial<AutocastOptions>, body: () => T): T;
export function autocast<T>(options: AutocastOptions, body: () => T): T;
export function autocast<T>(...args: unknown[]): T {
  const body = requireBody("autocast", args.pop() as () => T);
  const { deviceType, enabled } = bind<Required<AutocastOptions>>("autocast", args, {
    deviceType: "cuda",
    dtype: null,
    enabled: true,
    cacheEnabled: null,
  });
  if (!enabled) return body();
  warnOnce(
    deviceType === "cuda"
      ? "CUDA is not available or torch_xla is imported. Disabling autocast."
      : "autocast: tensors have no half precision here, so everything is computed in float32.",
  );
  return body();
}

export interface GradScalerOptions {
  /** Default "cuda", for which the scaler is switched off: there is none. */
  device: string;
  /** Default 65536. */
  initScale: number;
  /** Default 2. */
  growthFactor: number;
  /** Default 0.5. */
  backoffFactor: number;
  /** Default 2000. */
  growthInterval: number;
  /** Default true. */
  enabled: boolean;
}

/** Saved state of a scaler: empty when it is switched off. */
export interface GradScalerState {
  scale?: number;
  growth_factor?: number;
  backoff_factor?: number;
  growth_interval?: number;
  _growth_tracker?: number;
}

/** State of an optimizer's gradients, unscaled since the last `update()`. */
interface Stage {
  /** Whether there were any gradients. */
  readonly checked: boolean;
  readonly infinite: boolean;
  stepped: boolean;
}

/**
 * Scales losses up and gradients down, and skips steps whose gradients aren't finite. Switched off, it changes nothing.
 *
 * ```ts
 * const scaler = new torch.amp.GradScaler("cpu");
 * scaler.scale(loss).backward();
 * scaler.step(optimizer);
 * scaler.update();
 * ```
 * @see https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler
 */
export class GradScaler {
  private readonly enabled: boolean;
  private factor: number;
  private growthFactor: number;
  private backoffFactor: number;
  private growthInterval: number;
  private tracker = 0;
  private scaled = false;
  private readonly stages = new Map<Optimizer, Stage>();

  constructor(options?: Partial<GradScalerOptions>);
  constructor(device: string, options?: Partial<Omit<GradScalerOptions, "device">>);
  constructor(device: string, initScale: number, options?: Partial<GradScalerOptions>);
  constructor(...args: unknown[]) {
    const o = bind<GradScalerOptions>("GradScaler", args, {
      device: "cuda",
      initScale: 65536,
      growthFactor: 2,
      backoffFactor: 0.5,
      growthInterval: 2000,
      enabled: true,
    });
    if (o.enabled && o.device === "cuda")
      warnOnce("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.");
    this.enabled = o.enabled && o.device !== "cuda";
    if (this.enabled && o.growthFactor <= 1)
      throw new TensorError("value", "The growth factor must be > 1.0.");
    if (this.enabled && o.backoffFactor >= 1)
      throw new TensorError("value", "The backoff factor must be < 1.0.");
    this.factor = o.initScale;
    this.growthFactor = o.growthFactor;
    this.backoffFactor = o.backoffFactor;
    this.growthInterval = o.growthInterval;
  }

  /** A loss, or each of several, times the scale. */
  scale<X extends Tensor | readonly Tensor[]>(outputs: X): X {
    if (!this.enabled) return outputs;
    this.scaled = true;
    const { factor } = this;
    return (outputs instanceof Tensor
      ? mul(outputs, factor)
      : outputs.map((x) => mul(x, factor))) as unknown as X;
  }

  /**
   * Divides the gradients of an optimizer's parameters by the scale: before they are clipped. It is done once a step.
   * @throws TensorError "unscale_() has already been called on this optimizer since the last update()."
   */
  unscale_(optimizer: Optimizer): void {
    if (!this.enabled) return;
    this.checkScaled("unscale_");
    const stage = this.stages.get(optimizer);
    if (stage !== undefined) {
      throw new TensorError(
        "value",
        stage.stepped
          ? "unscale_() is being called after step()."
          : "unscale_() has already been called on this optimizer since the last update().",
      );
    }
    const inverse = 1 / this.factor;
    const gradients = optimizer.paramGroups.flatMap(({ params }) => params.flatMap((p) => p.grad ?? []));
    noGrad(() => gradients.forEach((g) => g.write(mul(g, inverse))));
    const infinite = gradients.some((g) => !valuesOf(g.value).every((x) => Number.isFinite(x)));
    this.stages.set(optimizer, { checked: gradients.length > 0, infinite, stepped: false });
  }

  /**
   * `optimizer.step()`, unless a gradient is infinite or NaN.
   * @throws TensorError when no parameter has a gradient
   */
  step(optimizer: Optimizer): unknown {
    if (!this.enabled) return optimizer.step();
    this.checkScaled("step");
    if (this.stages.get(optimizer)?.stepped === true)
      throw new TensorError("value", "step() has already been called since the last update().");
    if (!this.stages.has(optimizer)) this.unscale_(optimizer);
    const stage = this.stages.get(optimizer)!;
    if (!stage.checked) throw new TensorError("value", "No inf checks were recorded for this optimizer.");
    stage.stepped = true;
    return stage.infinite ? undefined : optimizer.step();
  }

  /** Lowers the scale after gradients that weren't finite, raises it after many steps that were; or sets it. */
  update(newScale?: number): void {
    if (!this.enabled) return;
    this.checkScaled("update");
    if (newScale !== undefined) this.factor = newScale;
    else if (![...this.stages.values()].some(({ checked }) => checked))
      throw new TensorError("value", "No inf checks were recorded prior to update.");
    else if ([...this.stages.values()].some(({ infinite }) => infinite)) {
      this.factor *= this.backoffFactor;
      this.tracker = 0;
    } else if (++this.tracker === this.growthInterval) {
      this.factor *= this.growthFactor;
      this.tracker = 0;
    }
    this.stages.clear();
  }

  /** The scale; 1 when it is switched off. */
  getScale(): number {
    return this.enabled ? this.factor : 1;
  }

  isEnabled(): boolean {
    return this.enabled;
  }

  getGrowthFactor(): number {
    return this.growthFactor;
  }

  setGrowthFactor(next: number): void {
    this.growthFactor = next;
  }

  getBackoffFactor(): number {
    return this.backoffFactor;
  }

  setBackoffFactor(next: number): void {
    this.backoffFactor = next;
  }

  getGrowthInterval(): number {
    return this.growthInterval;
  }

  setGrowthInterval(next: number): void {
    this.growthInterval = next;
  }

  stateDict(): GradScalerState {
    if (!this.enabled) return {};
    return {
      scale: this.factor,
      growth_factor: this.growthFactor,
      backoff_factor: this.backoffFactor,
      growth_interval: this.growthInterval,
      _growth_tracker: this.tracker,
    };
  }

  /** @throws TensorError for the empty state of a scaler that was switched off */
  loadStateDict(state: GradScalerState): void {
    if (!this.enabled) return;
    if (Object.keys(state).length === 0) {
      throw new TensorError(
        "value",
        "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler.",
      );
    }
    this.factor = state.scale ?? this.factor;
    this.growthFactor = state.growth_factor ?? this.growthFactor;
    this.backoffFactor = state.backoff_factor ?? this.backoffFactor;
    this.growthInterval = state.growth_interval ?? this.growthInterval;
    this.tracker = state._growth_tracker ?? 0;
  }

  private checkScaled(name: string): void {
    if (this.scaled) return;
    throw new TensorError(
      "value",
      `Attempted ${name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration.`,
    );
  }
}
