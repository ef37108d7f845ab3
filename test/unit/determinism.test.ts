import { afterEach, expect, test } from "vitest";
import { torch } from "../../extension/nn/index.ts";

afterEach(() => torch.useDeterministicAlgorithms(false));

test("deterministic algorithms are off until they are asked for", () => {
  expect(torch.areDeterministicAlgorithmsEnabled()).toBe(false);
  expect(torch.getDeterministicDebugMode()).toBe(0);
  torch.useDeterministicAlgorithms(true);
  expect(torch.areDeterministicAlgorithmsEnabled()).toBe(true);
  expect(torch.isDeterministicAlgorithmsWarnOnlyEnabled()).toBe(false);
  expect(torch.getDeterministicDebugMode()).toBe(2);
  torch.useDeterministicAlgorithms(true, { warnOnly: true });
  expect(torch.isDeterministicAlgorithmsWarnOnlyEnabled()).toBe(true);
  expect(torch.getDeterministicDebugMode()).toBe(1);
  torch.useDeterministicAlgorithms(false, { warnOnly: true });
  expect(torch.isDeterministicAlgorithmsWarnOnlyEnabled()).toBe(true);
  expect(torch.getDeterministicDebugMode()).toBe(0);
});

test("TensorFlow's kernels for GPUs are told by its own variable", () => {
  torch.useDeterministicAlgorithms(true);
  expect(process.env["TF_DETERMINISTIC_OPS"]).toBe("1");
  torch.useDeterministicAlgorithms(false);
  expect(process.env["TF_DETERMINISTIC_OPS"]).toBeUndefined();
});

test("the debug mode is the same switch by numbers and words", () => {
  for (const [mode, number] of [
    ["warn", 1],
    ["error", 2],
    [1, 1],
    ["default", 0],
    [2, 2],
    [0, 0],
  ] as const) {
    torch.setDeterministicDebugMode(mode);
    expect(torch.getDeterministicDebugMode()).toBe(number);
    expect(torch.areDeterministicAlgorithmsEnabled()).toBe(number > 0);
  }
  expect(() => torch.setDeterministicDebugMode("all")).toThrow(
    "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got all",
  );
  expect(() => torch.setDeterministicDebugMode(3)).toThrow(
    "invalid value of debug_mode, expected 0, 1, or 2, but got 3",
  );
});
