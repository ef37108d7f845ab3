import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { RunSession } from "../../../extension/supervisor/runs/session.ts";

const trust = vi.hoisted(() => ({ given: true, grant: (): void => undefined }));

vi.mock("vscode", () => ({
  Uri: { joinPath: (...parts: unknown[]) => parts.join("/") },
  Disposable: vi.fn(),
  env: { language: "en" },
  l10n: { t: (text: string) => text },
  window: {},
  workspace: {
    get isTrusted() {
      return trust.given;
    },
    onDidGrantWorkspaceTrust: (grant: () => void) => {
      trust.grant = grant;
      return { dispose: () => undefined };
    },
    getConfiguration: () => ({ get: (_name: string, value: unknown) => value }),
    onDidChangeConfiguration: () => ({ dispose: () => undefined }),
  },
  commands: {},
}));

const follow = () => ({ dispose: () => undefined });

/** The parts of VS Code's webview panel that our panels use. */
class FakePanel {
  visible = true;
  title = "";
  readonly sent: unknown[] = [];
  #changed = (): void => undefined;
  #receive = (_message: unknown): void => undefined;
  readonly webview = {
    options: {},
    html: "",
    cspSource: "",
    asWebviewUri: (uri: unknown) => uri,
    postMessage: (message: unknown) => Promise.resolve(this.sent.push(message) > 0),
    onDidReceiveMessage: (receive: (message: unknown) => void) => (this.#receive = receive),
  };
  onDidChangeViewState(changed: () => void) {
    this.#changed = changed;
    return { dispose: () => undefined };
  }
  onDidDispose = () => ({ dispose: () => undefined });

  show(visible: boolean): void {
    this.visible = visible;
    this.#changed();
  }

  /** Does what its page does when its script runs. */
  ask(): void {
    this.#receive({ t: "q", m: "ready", a: [], i: "1" });
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a flood of rows reaches the page as one sample, its newest row and events included", async () => {
  const { TrainingPanel } = await import("../../../extension/editor/panels/trainingPanel.ts");
  const session = new RunSession(
    "/w/run",
    startingRecord({
      kind: "train",
      file: "/w/a.nn.ts",
      exportName: "default",
      directory: "/w/run",
      device: "cpu",
      outlive: false,
    }),
    true,
  );
  const fake = new FakePanel();
  const log = { warn: vi.fn(), error: vi.fn() };
  const panel = new TrainingPanel(fake as never, session, {
    extensionUri: "" as never,
    log: log as never,
    previews: {} as never,
    follow,
  });
  fake.ask();
  await vi.advanceTimersByTimeAsync(500);
  const steps = Array.from({ length: 100_000 }, (_, i): MetricRow => {
    return { kind: "step", step: i + 1, epoch: 1, time: i, values: { loss: 1 } };
  });
  session.addRows([...steps, { ...steps[499]!, kind: "event", text: "Halved." }]);
  const few = { ...steps.at(-1)!, step: 100_001 };
  await vi.advanceTimersByTimeAsync(500);
  session.addRows([few]);
  await vi.advanceTimersByTimeAsync(500);
  const messages = fake.sent.filter((one): one is { m: string; a: [MetricRow[]] } => {
    return typeof one === "object" && one !== null && Reflect.get(one, "m") === "rows";
  });
  const [flood, single] = messages.map(({ a: [rows] }) => rows);
  expect(messages).toHaveLength(2);
  expect(flood!.length).toBeLessThanOrEqual(1002);
  expect(flood!.at(-1)).toEqual(steps.at(-1));
  expect(flood!.filter(({ kind }) => kind === "event")).toHaveLength(1);
  expect(single).toEqual([few]);
  panel.dispose();
});

test("a hidden panel is sent nothing and keeps nothing; shown again, it gets one snapshot", async () => {
  const { TrainingPanel } = await import("../../../extension/editor/panels/trainingPanel.ts");
  const request = { kind: "train", file: "/w/a.nn.ts", exportName: "default", directory: "/w/run" } as const;
  const session = new RunSession(
    request.directory,
    startingRecord({ ...request, device: "cpu", outlive: false }),
    true,
  );
  const fake = new FakePanel();
  const log = { warn: vi.fn(), error: vi.fn() };
  const panel = new TrainingPanel(fake as never, session, {
    extensionUri: "" as never,
    log: log as never,
    previews: {} as never,
    follow,
  });
  let step = 0;
  const train = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      session.addRows([{ kind: "step", step: ++step, epoch: 1, time: step, values: { loss: 1 } }]);
      session.setRecord({ ...session.record, step }, true);
      await vi.advanceTimersByTimeAsync(20);
    }
  };
  fake.ask();
  await train();
  // A second of training: ten messages and the first snapshot, whatever the number of events.
  expect(fake.sent.length).toBeGreaterThan(5);
  expect(fake.sent.length).toBeLessThanOrEqual(12);

  fake.show(false);
  const before = fake.sent.length;
  await train();
  expect(fake.sent.length).toBe(before);

  fake.show(true);
  await vi.advanceTimersByTimeAsync(500);
  expect(fake.sent.length).toBe(before);
  fake.ask();
  await vi.advanceTimersByTimeAsync(500);
  expect(fake.sent.length).toBe(before + 1);
  expect(JSON.stringify(fake.sent.at(-1))).toContain('"step":100');
  expect(log.error).not.toHaveBeenCalled();
  panel.dispose();
});

test("a page is loaded again when the workspace is trusted", async () => {
  const { connectPanel } = await import("../../../extension/editor/panels/webviewHost.ts");
  trust.given = false;
  const fake = new FakePanel();
  connectPanel(fake as never, {
    kind: "training",
    extensionUri: "" as never,
    log: {} as never,
    methods: {},
    schemas: {},
  });
  expect(fake.webview.html).toContain("data-restricted");
  trust.given = true;
  trust.grant();
  expect(fake.webview.html).not.toContain("data-restricted");
});
