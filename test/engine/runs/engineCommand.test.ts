import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import * as v from "valibot";
import { InstallLine, NativeReport } from "../../../extension/protocol/native.ts";
import { FakeMachine } from "../../unit/native/fakes.ts";
import { killAll } from "../../processes.ts";

const CLI = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts the built command line on a machine of its own. */
function layerwise(machine: FakeMachine, ...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { env: machine.host.env });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Result>((resolve) =>
    child.once("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended };
}

/** Files of the cache folder, but for the compiled code of the command line itself. */
const filesOf = (machine: FakeMachine): string[] =>
  machine.files().filter((name) => !name.startsWith("compiled/"));

const installLines = (stdout: string): InstallLine[] =>
  stdout
    .trim()
    .split("\n")
    .map((line) => v.parse(InstallLine, JSON.parse(line)));

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("layerwise engine", () => {
  test("status --json says what will run", async () => {
    const machine = new FakeMachine();
    const { code, stdout } = await layerwise(machine, "engine", "status", "--json").ended;
    expect(code).toBe(0);
    const report = v.parse(NativeReport, JSON.parse(stdout));
    expect(report).toMatchObject({ backend: "wasm", state: "not-installed" });
    expect(report.missing).toHaveLength(2);
  });

  test("status refuses an unknown device", async () => {
    const machine = new FakeMachine();
    machine.host.env["LAYERWISE_DEVICE"] = "tpu";
    const result = await layerwise(machine, "engine", "status").ended;
    expect(result).toEqual({
      code: 2,
      stdout: "",
      stderr: 'LAYERWISE_DEVICE: expected one of auto, native, gpu, kernels, wasm, cpu; got "tpu".\n',
    });
  });

  test("install names what is missing in one line", async () => {
    const result = await layerwise(new FakeMachine(), "engine", "install").ended;
    expect(result).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "Installing the native engine needs Python 3 with pip (packages python3 and python3-pip), or uv; and a C++ compiler (package g++).\n",
    });
  });

  test("install shows pip's own words only when asked", async () => {
    const machine = new FakeMachine();
    machine.python({ kind: "fails", output: "ERROR: 404" });
    machine.compiler();
    const brief = await layerwise(machine, "engine", "install").ended;
    expect(brief.stderr).toBe("pip can't download tensorflow-cpu==2.21.0: 404 (--verbose says more)\n");
    const verbose = await layerwise(machine, "engine", "install", "--verbose").ended;
    expect(verbose.stderr).toBe("pip can't download tensorflow-cpu==2.21.0: 404\n\nERROR: 404\n");
  });

  test("install --json ends with the reason", async () => {
    const machine = new FakeMachine();
    machine.python({ kind: "serves", wheel: {} });
    machine.compiler();
    const { code, stdout, stderr } = await layerwise(machine, "engine", "install", "--json").ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    const lines = installLines(stdout);
    expect(lines[0]).toMatchObject({ type: "progress", phase: "download" });
    // The fake compiler's output is no addon.
    expect(lines.at(-1)).toMatchObject({ type: "failed", code: "load-failed" });
  });

  test("Ctrl-C cancels an installation and leaves nothing half done", async () => {
    const machine = new FakeMachine();
    machine.python({ kind: "hangs" });
    machine.compiler();
    const { child, ended } = layerwise(machine, "engine", "install", "--json");
    while (machine.pids().length === 0) await delay(50);
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(installLines(stdout).at(-1)).toEqual({ type: "cancelled" });
    expect(filesOf(machine)).toEqual([]);
  });

  test("a killed installer is no obstacle", async () => {
    const machine = new FakeMachine();
    machine.python({ kind: "hangs" });
    machine.compiler();
    const { child, ended } = layerwise(machine, "engine", "install");
    while (machine.pids().length < 2) await delay(50);
    child.kill("SIGKILL");
    await ended;
    killAll(machine.pids());
    expect(machine.files().some((name) => name.endsWith(".lock"))).toBe(true);
    machine.python({ kind: "fails", output: "ERROR: reached pip" });
    const again = await layerwise(machine, "engine", "install").ended;
    expect(again.stderr).toContain("reached pip");
    expect(filesOf(machine)).toEqual([]);
  });

  test("remove says whether there was anything", async () => {
    const { code, stdout } = await layerwise(new FakeMachine(), "engine", "remove").ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "There is no native engine to remove.\n" });
  });

  test("a wrong command is a usage error", async () => {
    const { code, stderr } = await layerwise(new FakeMachine(), "engine", "instal").ended;
    expect(code).toBe(2);
    expect(stderr).toContain("Did you mean install?");
  });
});
