/** Every process ends when the one that started it was killed, also in user code that never comes back. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, expect, test, vi } from "vitest";
import { isAlive } from "../../../extension/processes/identity.ts";
import { dist, experimentFile, useWorkspace } from "../workspace.ts";
import { gone } from "../../gone.ts";
import { PATIENT } from "../../patience.ts";
import { killAll } from "../../processes.ts";

const workspace = useWorkspace();
const started: (ChildProcess | number)[] = [];
// Those that are gone, as they should be, are none to kill.
afterEach(() => void killAll(started.splice(0).map((one) => (typeof one === "number" ? one : one.pid!))));

/** The process that the user's code writes the number of before it hangs. */
const hung = (): Promise<number> =>
  vi.waitFor(() => {
    const pid = Number(fs.readFileSync(workspace.file("hung"), "utf8"));
    expect(pid).toBeGreaterThan(0);
    started.push(pid);
    return pid;
  }, PATIENT);

const HANGS = `fs.writeFileSync("hung", String(process.pid)); for (;;);`;

test.each([
  ["run", experimentFile({}, HANGS)],
  ["lr-find", experimentFile({ data: `() => { ${HANGS} }` })],
  ["summary", experimentFile({ model: `() => { ${HANGS} }` })],
])("layerwise %s in user code that hangs, killed", async (command, text) => {
  workspace.write("net.nn.ts", `import fs from "node:fs";\n${text}`);
  const { child } = workspace.start([command, "net.nn.ts"]);
  const pid = await hung();
  child.kill("SIGKILL");
  await gone(pid);
});

/** Starts an engine from a process that can be killed; answers both once the engine has said hello. */
async function child(entry: string): Promise<{ parent: ChildProcess; pid: number }> {
  const program = `const child = require("node:child_process").fork(${JSON.stringify(path.join(dist, entry))}, {
    serialization: "advanced", detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] });
  child.once("message", () => console.log(child.pid));`;
  const parent = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  started.push(parent);
  const [bytes] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(bytes.toString());
  started.push(pid);
  return { parent, pid };
}

test.each(["runEngine.js", "previewEngine.js", "tensorFileEngine.js"])(
  "%s that waits for its first task, its parent killed",
  async (entry) => {
    const { parent, pid } = await child(entry);
    expect(await isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await gone(pid);
  },
);

test("what may outlive its parent ends when the folder that it is found by is gone too", async () => {
  const folder = workspace.file("run");
  fs.mkdirSync(folder);
  // The parent of this one is another, as that of a process whose parent has ended.
  const program = `const { Worker } = require("node:worker_threads");
  const worker = new Worker(${JSON.stringify(path.join(dist, "watchdogWorker.js"))});
  worker.postMessage({ kind: "parent", pid: 2 ** 30, grace: 100, folder: ${JSON.stringify(folder)} });
  setTimeout(() => { console.log("there"); for (;;); }, 1200);`;
  const run = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  started.push(run);
  // It is still there after two looks.
  await once(run.stdout, "data");
  expect(await isAlive(run.pid)).toBe(true);
  fs.rmdirSync(folder);
  await gone(run.pid);
});

test("a process that is debugged ends with its parent too: its watchdog is a process", async () => {
  const watchdog = JSON.stringify(path.join(dist, "watchdogWorker.js"));
  workspace.write(
    "debugged.cjs",
    `const watchdog = require("node:child_process").fork(${watchdog}, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    watchdog.send({ kind: "parent", pid: process.ppid, grace: 100 }, () => {
      require("node:fs").writeFileSync("hung", String(process.pid));
      for (;;);
    });`,
  );
  const program = `require("node:child_process").spawn(process.execPath, ["debugged.cjs"], { stdio: "ignore" });`;
  const parent = spawn(process.execPath, ["-e", program], { cwd: workspace.file(""), stdio: "ignore" });
  started.push(parent);
  const pid = await hung();
  expect(await isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  await gone(pid);
});

test.each(["run", "summary", "train"])(
  "layerwise %s runs no user code before its watchdog follows the parent",
  async (command) => {
    const installed = workspace.file("installed");
    fs.cpSync(dist, path.join(installed, "dist"), { recursive: true });
    fs.copyFileSync(path.join(dist, "../package.json"), path.join(installed, "package.json"));
    fs.writeFileSync(
      path.join(installed, "dist/watchdogWorker.js"),
      'throw new Error("It has been damaged.");',
    );
    workspace.write("net.nn.ts", `import fs from "node:fs";\nfs.writeFileSync("ran", "");`);
    const cli = spawn(process.execPath, [path.join(installed, "dist/cli.js"), command, "net.nn.ts"], {
      cwd: workspace.file(""),
      env: { ...process.env, LAYERWISE_DEVICE: "cpu" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    started.push(cli);
    expect(await text(cli.stderr)).toContain("watchdog can't be started: It has been damaged.");
    expect(fs.existsSync(workspace.file("ran"))).toBe(false);
  },
);
