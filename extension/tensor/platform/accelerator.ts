// PyTorch's torch.accelerator: there is none.
import type { Device } from "./device.ts";

/** Whether there is an accelerator: never. */
export const isAvailable = (): boolean => false;
/** The accelerator in use: null. */
export const currentAccelerator = (): Device | null => null;
/** Number of accelerators: 0. */
export const deviceCount = (): number => 0;
