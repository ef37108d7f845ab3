import { afterEach, expect, it, vi } from "vitest";
import { FirstSteps } from "../../../extension/executors/tensorflow/firstSteps.ts";
import { KERNELS_FIRST, MAX_PLANS_AT_FIRST_SIGHT } from "../../../extension/executors/tuning.ts";
import { setWarningSink } from "../../../extension/tensor/core/warnings.ts";
import { IncompletePlan, type Plan } from "../../../extension/tensor/planning/executor.ts";
import { KERNELS_OVER, type TrainingGraphs } from "../../../extension/tensor/recording/policy.ts";

const plan = (key = "step", nodes: unknown[] = []): Plan => ({ key, nodes }) as unknown as Plan;
const begun = (kernelWork = 0): TrainingGraphs => ({
  compiled: [],
  kernelWork,
});

/** Steps of which TensorFlow would save a quarter of the limit each. */
function firstSteps(savings: number | null = KERNELS_FIRST / 4, load = (): string => "2.21.0") {
  const estimate = savings === null ? undefined : { savings, milliseconds: KERNELS_FIRST };
  const library = { prepareTensorFlow: vi.fn(), loadTensorFlow: vi.fn(load) };
  const prepare = vi.fn();
  return {
    library,
    prepare,
    first: new FirstSteps({ estimate: () => estimate }, { prepare }, library),
  };
}

afterEach(() => vi.unstubAllEnvs());

it("TensorFlow is loaded, compiles and takes over at fixed sums of estimates", () => {
  const { first, library, prepare } = firstSteps();
  const training = begun();
  expect(first.take(plan(), training)).toBe(true);
  expect(library.prepareTensorFlow).not.toHaveBeenCalled();
  expect(first.take(plan(), training)).toBe(true);
  expect(library.prepareTensorFlow).toHaveBeenCalledOnce();
  expect(prepare).not.toHaveBeenCalled();
  expect(first.take(plan(), training)).toBe(true);
  expect(prepare).toHaveBeenCalledOnce();
  expect(first.take(plan(), training)).toBe(false);
  expect(training.kernelWork).toBe(KERNELS_OVER);
  expect(first.take(plan(), training)).toBe(false);
  expect(first.choices()).toMatchObject([{ chosen: "TensorFlow, after own kernels" }]);
});

it("a plan is compiled with all of its nodes, and counted once", () => {
  const { first, prepare } = firstSteps();
  const training = begun(KERNELS_FIRST / 2);
  expect(() => first.take(plan("step", [undefined]), training)).toThrow(IncompletePlan);
  expect(training.kernelWork).toBe(KERNELS_FIRST / 2);
  expect(first.take(plan(), training)).toBe(true);
  expect(prepare).toHaveBeenCalledOnce();
  expect(training.kernelWork).toBe((KERNELS_FIRST * 3) / 4);
});

it("no more plans are compiled ahead than are compiled later", () => {
  const { first, prepare } = firstSteps(0);
  const training = begun((KERNELS_FIRST * 7) / 8);
  for (let i = 0; i < 2 * MAX_PLANS_AT_FIRST_SIGHT; i++) first.take(plan(`length ${i}`), training);
  expect(prepare).toHaveBeenCalledTimes(MAX_PLANS_AT_FIRST_SIGHT);
});

it("a resumed training has what is left", () => {
  const { first, library } = firstSteps();
  const training = begun((KERNELS_FIRST * 5) / 8);
  expect(first.take(plan(), training)).toBe(true);
  expect(library.prepareTensorFlow).toHaveBeenCalledOnce();
  expect(first.take(plan(), training)).toBe(false);
});

it("TensorFlow takes over at once where the kernels lack an op", () => {
  const { first, prepare } = firstSteps(null);
  const training = begun();
  expect(first.take(plan(), training)).toBe(false);
  expect(prepare).not.toHaveBeenCalled();
  expect(training.kernelWork).toBe(KERNELS_OVER);
});

it("a training whose TensorFlow can't be loaded stays with the kernels, with a warning", () => {
  const warnings: string[] = [];
  const before = setWarningSink((message) => void warnings.push(message));
  const { first, library } = firstSteps(KERNELS_FIRST, () => {
    throw new Error("libtensorflow_cc.so: file too short");
  });
  const training = begun();
  for (let step = 0; step < 3; step++) expect(first.take(plan(), training)).toBe(true);
  setWarningSink(before);
  expect(library.loadTensorFlow).toHaveBeenCalledOnce();
  expect(warnings).toEqual([expect.stringContaining("file too short")]);
  expect(training.kernelWork).toBe(0);
  expect(first.choices()).toMatchObject([
    { chosen: "own kernels", why: expect.stringContaining("too short") },
  ]);
});

it("a training stays with the kernels where TensorFlow would save nothing", () => {
  const { first, library } = firstSteps(0);
  const training = begun();
  for (let step = 0; step < 100; step++) expect(first.take(plan(), training)).toBe(true);
  expect(training.kernelWork).toBe(0);
  expect(library.prepareTensorFlow).not.toHaveBeenCalled();
  expect(first.choices()).toMatchObject([{ chosen: "own kernels" }]);
});

it("with LAYERWISE_KERNELS_FIRST TensorFlow takes over after so many milliseconds, faster or not", () => {
  vi.stubEnv("LAYERWISE_KERNELS_FIRST", "0");
  expect(firstSteps().first.take(plan(), begun())).toBe(false);
  vi.stubEnv("LAYERWISE_KERNELS_FIRST", String(1.5 * KERNELS_FIRST));
  const { first } = firstSteps(0);
  const training = begun();
  expect(first.take(plan(), training)).toBe(true);
  expect(first.take(plan(), training)).toBe(false);
  vi.stubEnv("LAYERWISE_KERNELS_FIRST", "soon");
  expect(firstSteps().first.take(plan(), begun())).toBe(true);
});
