import { afterAll, beforeAll, vi } from "vitest";

/** Has executors that are loaded from now on begin trainings with own kernels, for a number of estimated milliseconds. */
export const beginWithKernels = (milliseconds: number): void => {
  vi.stubEnv("LAYERWISE_KERNELS_FIRST", String(milliseconds));
};

/** Has TensorFlow compute the tests' trainings from the first step on. */
export function compileFromTheStart(): void {
  beforeAll(() => beginWithKernels(0));
  afterAll(() => vi.unstubAllEnvs());
}
