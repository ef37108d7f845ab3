// PyTorch's torch.cuda where there is no GPU: what programs ask before they choose a device.
import { requireCpu } from "./device.ts";

/** Whether there is a GPU: never. */
export const isAvailable = (): boolean => false;
/** Number of GPUs: 0. */
export const deviceCount = (): number => 0;
/** Whether a GPU is in use: never. */
export const isInitialized = (): boolean => false;
/** Whether GPUs compute in bfloat16: there are none. */
export const isBf16Supported = (): boolean => false;
/** Seeds the GPU's generator: without effect. */
export function manualSeed(_seed: number): void {}
/** Seeds the generators of all GPUs: without effect. */
export function manualSeedAll(_seed: number): void {}
/** Frees memory of the GPU: without effect. */
export function emptyCache(): void {}
/** Bytes of tensors on the GPU: 0. */
export const memoryAllocated = (_device?: unknown): number => 0;
/** Most bytes of tensors on the GPU: 0. */
export const maxMemoryAllocated = (_device?: unknown): number => 0;
/** Bytes held for tensors on the GPU: 0. */
export const memoryReserved = (_device?: unknown): number => 0;
/** Restarts the count of most bytes: without effect. */
export function resetPeakMemoryStats(_device?: unknown): void {}

const refuse = (): never => requireCpu("cuda") as never;

/** @throws TensorError "Torch not compiled with CUDA enabled" */
export const currentDevice = (): number => refuse();
/** @throws TensorError "Torch not compiled with CUDA enabled" */
export const getDeviceName = (_device?: unknown): string => refuse();
/** @throws TensorError "Torch not compiled with CUDA enabled" */
export const getDeviceCapability = (_device?: unknown): [major: number, minor: number] => refuse();
/** @throws TensorError "Torch not compiled with CUDA enabled" */
export const setDevice = (_device: unknown): void => refuse();
/** @throws TensorError "Torch not compiled with CUDA enabled" */
export const synchronize = (_device?: unknown): void => refuse();
