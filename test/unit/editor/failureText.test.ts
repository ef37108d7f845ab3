import { expect, test, vi } from "vitest";
import { startingRecord } from "../../../extension/protocol/engine.ts";

vi.mock("vscode", () => ({
  l10n: {
    t: (text: string, ...parts: string[]) => text.replace(/\{(\d)\}/g, (_, i: string) => parts[Number(i)]!),
  },
}));

const { failureText } = await import("../../../extension/editor/runs/failureText.ts");

const asked = {
  file: "/w/net.nn.ts",
  exportName: "default",
  directory: "/w/run",
  device: "cpu",
  outlive: false,
} as const;
const trained = { ...startingRecord({ ...asked, kind: "train" }), model: "Net" };
const evaluated = { ...startingRecord({ ...asked, kind: "evaluate" }), model: "Net" };
const failure = { code: "index", message: "Target 7 is out of bounds.\nA second line." };
const killed = { code: "killed", message: "The run's process ended unexpectedly: signal SIGKILL." };

test("a notification doesn't repeat what the run's panel says", () => {
  expect(failureText(failure, trained, { shown: true })).toBe("The training of Net failed.");
  expect(failureText(killed, trained, { shown: true })).toBe("The training of Net ended unexpectedly.");
  expect(failureText(failure, evaluated, { shown: true })).toBe("The evaluation of Net failed.");
  expect(failureText(killed, evaluated, { shown: true })).toBe("The evaluation of Net ended unexpectedly.");
});

test("without the panel, it says all", () => {
  expect(failureText(failure, trained, { shown: false })).toBe(failure.message);
});

test("what can be done about it follows", () => {
  const reason = "Changed since the run began: net.nn.ts.";
  expect(failureText(failure, trained, { shown: true, reason })).toBe(
    `The training of Net failed. ${reason}`,
  );
  expect(failureText(failure, trained, { shown: false, reason })).toBe(
    `Target 7 is out of bounds. ${reason}`,
  );
});
