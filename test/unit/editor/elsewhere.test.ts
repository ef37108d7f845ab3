/** How the editor's choice of a machine reaches the command line that runs a sweep there. */
import os from "node:os";
import path from "node:path";
import { expect, test, vi } from "vitest";
import type { RayTokens } from "../../../extension/editor/remote/tokens.ts";
import { findTarget, readTargets } from "../../../extension/remote/targets.ts";
import { around } from "../../folders.ts";

/** The item that the user picks, what the user types, and the setting. */
const user = vi.hoisted(() => ({ picks: "", types: "", targets: {} as object }));

vi.mock("vscode", () => ({
  l10n: {
    t: (text: string, ...values: string[]) => text.replaceAll(/\{(\d)\}/g, (_, i) => values[Number(i)] ?? ""),
  },
  ProcessExecution: class {
    readonly args;
    readonly options;
    constructor(...[, args, options]: unknown[]) {
      this.args = args;
      this.options = options;
    }
  },
  Task: class {
    readonly definition;
    readonly execution;
    constructor(...[definition, , , , execution]: unknown[]) {
      this.definition = definition;
      this.execution = execution;
    }
  },
  TaskScope: { Workspace: 2 },
  window: {
    showQuickPick: (items: { label: string }[]) =>
      Promise.resolve(items.find(({ label }) => label.endsWith(user.picks))),
    showInputBox: () => Promise.resolve(user.types),
  },
  workspace: { getConfiguration: () => ({ get: () => user.targets }) },
}));

const { chooseMachine } = await import("../../../extension/editor/remote/targets.ts");
const { sweepTask } = await import("../../../extension/editor/runs/tasks.ts");

const tokens = (authorized = true): RayTokens =>
  ({
    authorize: () => Promise.resolve(authorized),
    environment: () => Promise.resolve({ TOKENS: "secret" }),
  }) as unknown as RayTokens;

around(
  "each",
  () => {
    // No configuration of ssh.
    vi.spyOn(os, "homedir").mockReturnValue(path.join(os.tmpdir(), "no-such-home"));
  },
  () => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  },
);

test.each([
  ["a target of the setting", "gpu", "", { gpu: { host: "ssh://me@there:2222", node: "/opt/node" } }],
  ["one whose name begins as an option does", "-o", "", { "-o": "there" }],
  ["a typed address", "Another machine…", " ray://head:1 ", {}],
])("a command line finds %s as the editor does", async (_, picks, types, targets) => {
  Object.assign(user, { picks, types, targets: { ...targets, other: "elsewhere" } });
  const machine = await chooseMachine(tokens());
  const [, word] = /^--on=(.*)$/.exec(machine!.args.join(" "))!;
  vi.stubEnv("LAYERWISE_TARGETS", machine!.env["LAYERWISE_TARGETS"]);
  expect(findTarget(word!, await readTargets("/none"))).toEqual(machine!.target);
  expect(await readTargets("/none")).toEqual(targets);
  // Where there is no cluster, the file's code would only find it in its environment.
  expect(machine!.env["TOKENS"]).toBe(machine!.target.kind === "ray" ? "secret" : undefined);
});

test("nothing is chosen where the user cancels, or has no token", async () => {
  Object.assign(user, { picks: "no such item", targets: {} });
  expect(await chooseMachine(tokens())).toBeUndefined();
  Object.assign(user, { picks: "gpu", targets: { gpu: "there" } });
  expect(await chooseMachine(tokens(false))).toBeUndefined();
});

test("targets in the environment that are none are an error which says where they are", async () => {
  vi.stubEnv("LAYERWISE_TARGETS", '{"gpu": 1}');
  await expect(readTargets("/none")).rejects.toThrow(/^LAYERWISE_TARGETS can't be read: /);
});

test("a token is in the task's environment alone, and none in which VS Code would see a variable", () => {
  const engine = { dist: "/dist" };
  const task = sweepTask(["net.nn.ts"], "net", "/project", engine, { RAY_AUTH_TOKEN: "secret" });
  const { args, options } = task.execution as unknown as {
    args: string[];
    options: { env: Record<string, string> };
  };
  expect(options.env["RAY_AUTH_TOKEN"]).toBe("secret");
  expect(JSON.stringify([args, task.definition])).not.toContain("secret");
  const risky = (): unknown =>
    sweepTask(["net.nn.ts"], "net", "/project", engine, { RAY_AUTH_TOKEN: "a${command:quit}" });
  expect(risky).toThrow("VS Code would take a part of RAY_AUTH_TOKEN for a variable");
});
