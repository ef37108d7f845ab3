// PyTorch's torch.cuda, with the older names of torch.amp.
import * as general from "./amp.ts";

export * from "../tensor/platform/cuda.ts";

/** As {@link general.GradScaler} of "cuda": switched off. */
class GradScaler extends general.GradScaler {
  constructor(options: Partial<Omit<general.GradScalerOptions, "device">> = {}) {
    super("cuda", options);
  }
}

function autocast<T>(body: () => T): T;
function autocast<T>(options: Partial<general.AutocastOptions>, body: () => T): T;
function autocast<T>(...args: [() => T] | [Partial<general.AutocastOptions>, () => T]): T {
  return args.length === 1 ? general.autocast("cuda", args[0]) : general.autocast("cuda", ...args);
}

/** `torch.amp` for a GPU, of which there is none. */
export const amp = { GradScaler, autocast } as const;
