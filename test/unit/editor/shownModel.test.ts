/** Which model of a file its panel shows, and with which errors. */
import { beforeEach, expect, test, vi } from "vitest";
import type { FileReport, ModelReport } from "../../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../../extension/protocol/views.ts";
import { shownModel } from "../../../webview/architecture/state.ts";
import { host, resetHost, vscode } from "./previewHost.ts";

vi.mock("vscode", async () => (await import("./previewHost.ts")).vscode);

beforeEach(resetHost);

const TEXT = `
class Throws extends nn.Module {}
class Deep extends nn.Module {}
export const first = experiment({ model: () => new Throws(0) });
export const second = experiment({ model: () => new Deep() });
`;
const model = (name: string, experiment: string): ModelReport => ({
  name,
  experiments: [experiment],
  text: "",
  rows: [],
  parameters: { total: 1, trainable: 1 },
  parameterBytes: 4,
});
const REPORT: FileReport = {
  file: "/w/net.nn.ts",
  models: [model("Deep", "second")],
  experiments: [],
  errors: [
    { code: "error", message: "hidden must be positive", of: "first" },
    { code: "data", message: "no data", of: "second" },
  ],
};

async function snapshotOf(
  wanted: string | undefined,
  lastGood = new Map<string, ModelReport>(),
): Promise<ArchitectureSnapshot> {
  const { ArchitectureSubject } = await import("../../../extension/editor/panels/architectureSubject.ts");
  const subscription = (): object => ({ dispose: () => undefined });
  const previews = {
    hold: subscription,
    onDidChange: subscription,
    onDidEdit: subscription,
    follow: () => ({ report: REPORT, lastGood, busy: false, outdated: false }),
  };
  const document = { getText: () => TEXT };
  Object.assign(vscode.workspace, { openTextDocument: () => Promise.resolve(document) });
  const services = { previews, runs: { onDidChange: subscription }, engine: () => ({}), log: {} };
  const subject = new ArchitectureSubject("/w/net.nn.ts", wanted, services as never, () => undefined);
  return subject.snapshot();
}

const seen = (snapshot: ArchitectureSnapshot): unknown => {
  const { model: shown, stale } = shownModel(snapshot);
  return [
    snapshot.model,
    shown === undefined ? "none" : stale ? "before" : "now",
    snapshot.report?.errors.map(({ message }) => message),
  ];
};

test("a class that can't be built is shown with its own errors, never another class in its place", async () => {
  expect(host.trusted).toBe(true);
  expect(seen(await snapshotOf("Throws"))).toEqual(["Throws", "none", ["hidden must be positive"]]);
  expect(seen(await snapshotOf("first"))).toEqual(["Throws", "none", ["hidden must be positive"]]);
  expect(seen(await snapshotOf("Deep"))).toEqual(["Deep", "now", ["no data"]]);
  expect(seen(await snapshotOf(undefined))).toEqual(["Deep", "now", ["no data"]]);
});

test("a class that could be built before is shown as it was then", async () => {
  const snapshot = await snapshotOf("Throws", new Map([["Throws", model("Throws", "first")]]));
  expect(seen(snapshot)).toEqual(["Throws", "before", ["hidden must be positive"]]);
  expect(snapshot.unbuiltModels).toEqual(["Throws"]);
});
