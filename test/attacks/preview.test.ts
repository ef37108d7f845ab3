/** Files that harm the process of previews, what it shares with other files, or the machine that it runs on. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { PreviewEngine } from "../../extension/supervisor/engines/preview.ts";
import { dist } from "../engine/workspace.ts";
import { HONEST, useAttackedPreviews } from "./attackedPreviews.ts";
import { PATIENT } from "../patience.ts";

const MEMORY = 500;
const { workspace, logged, preview, serves } = useAttackedPreviews(MEMORY);

describe("changes what all files share:", () => {
  const PATCHES: Record<string, string> = {
    "Array.prototype.map": "Array.prototype.map = (() => []) as never;",
    "Array.prototype.filter": "Object.defineProperty(Array.prototype, 'filter', { get: () => () => [] });",
    "Array.prototype[Symbol.iterator]": "Array.prototype[Symbol.iterator] = (() => { throw 1; }) as never;",
    "Array.prototype.extra": "(Array.prototype as any).extra = 1;",
    "the iterators' next": "Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true });",
    "Object.prototype": "(Object.prototype as any).polluted = 1;",
    "Object.freeze": "Object.freeze(Array.prototype); Object.freeze(Object.prototype);",
    "JSON.parse": "JSON.parse = () => { throw new Error('no'); };",
    "JSON.stringify": "JSON.stringify = (() => '{}') as never;",
    Map: "(globalThis as any).Map = class {};",
    "Map.prototype.get": "Map.prototype.get = () => undefined;",
    "Promise.prototype.then": "Promise.prototype.then = (() => { throw 1; }) as never;",
    "process.exit": "process.exit = (() => {}) as never;",
    "process.send": "process.send = (() => true) as never;",
    "process.emit": "process.emit = (() => true) as never;",
    Buffer: "(globalThis as any).Buffer = 1;",
    "Buffer.from": "Buffer.from = (() => { throw 1; }) as never;",
    "Error.prepareStackTrace": "Error.prepareStackTrace = () => { throw 1; };",
    "Error.stackTraceLimit": "Error.stackTraceLimit = 0;",
    setTimeout: "(globalThis as any).setTimeout = () => { throw 1; };",
    clearTimeout: "(globalThis as any).clearTimeout = () => { throw 1; };",
    console: "(globalThis as any).console = {};",
    "Math.random": "Math.random = () => 0.5;",
    "Reflect.ownKeys": "Reflect.ownKeys = (() => []) as never;",
    "Float32Array.prototype.fill": "Object.getPrototypeOf(Float32Array.prototype).fill = () => { throw 1; };",
    "Function.prototype.call": "Function.prototype.call = () => undefined;",
    "fs.readFileSync": "import fs from 'node:fs'; fs.readFileSync = (() => 'export {}') as never;",
    "vm.Script": "import vm from 'node:vm'; vm.Script.prototype.runInThisContext = () => () => {};",
    "nn.Linear.prototype.forward": "nn.Linear.prototype.forward = (x) => x;",
    "nn.Module.prototype": "nn.Module.prototype.parameters = (() => []) as never;",
    "torch.zeros": "(torch as any).randn = () => { throw 1; };",
    "process.env": "process.env.HOME = '/nowhere'; process.env.LAYERWISE_PREVIEW_TEST = '1';",
    "process.chdir": "process.chdir('/');",
    "listeners of process":
      "process.on('message', () => process.exit(1)); process.on('exit', () => { for (;;); });",
    "the library's modes":
      "torch.setGradEnabled(false); torch.setPrintOptions({ precision: 1 }); torch.manualSeed(9);",
  };
  it.each(Object.keys(PATCHES))("%s", async (name) => {
    // Imports stand first.
    await preview("hostile", HONEST.replace("export class", `${PATCHES[name]!}\nexport class`));
    await serves();
  });

  it("and later, in a timer that nothing waits for", async () => {
    const text = "setTimeout(() => { Array.prototype.map = (() => []) as never; }, 0).unref();";
    await preview("hostile", `${text}\n${HONEST}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // It is noticed after the next preview at the latest.
    await preview("other", "export {};");
    await serves();
  });
});

it("breaks the library by a changed built-in: the file is told which", async () => {
  const report = await preview("hostile", "(globalThis as any).Map = class {};\nexport {};");
  const [error] = report.errors;
  expect(error?.message).toContain(
    "hostile.nn.ts failed, since the file changes JavaScript's built-ins (Map)",
  );
  expect(error?.position).toMatchObject({ file: workspace.file("hostile.nn.ts"), line: 1 });
  await serves();
});

it("keeps its own polyfill while it is slow, and gets it in every preview", async () => {
  const text = `(Array.prototype as any).last = function () { return this[this.length - 1]; };
const end = Date.now() + 1500;
while (Date.now() < end);
export const last = ([1, 2] as any).last();
${HONEST}`;
  for (let i = 0; i < 2; i++) expect((await preview("polyfill", text)).errors).toEqual([]);
});

describe("still runs after its preview:", () => {
  const REMAINS: Record<string, string> = {
    "a timer that loops": "setTimeout(() => { for (;;); }, 0);",
    "a timer that ends the process": "setTimeout(() => process.exit(3), 30);",
    "an interval": "setInterval(() => {}, 10);",
    "a server": "import net from 'node:net'; net.createServer().listen(0, '127.0.0.1');",
    "a thread that loops":
      "import { Worker } from 'node:worker_threads'; new Worker('for (;;);', { eval: true }).unref();",
    "a watcher": "import fs from 'node:fs'; fs.watch('.');",
    "a debugger's port": "import inspector from 'node:inspector'; inspector.open(0, '127.0.0.1');",
    "a rejection":
      "void Promise.reject(new Error('later')); setTimeout(() => { throw new Error('later'); }, 10);",
    "a reader of its input": "process.stdin.on('data', () => {}); process.stdin.resume();",
  };
  it.each(Object.keys(REMAINS))("%s", async (name) => {
    await preview("hostile", `${REMAINS[name]!}\n${HONEST}`);
    await serves();
  });
});

describe("never comes back:", () => {
  const HANGS: Record<string, string> = {
    "an endless loop": "for (;;);",
    "promises without end": "const more = (): Promise<void> => Promise.resolve().then(more);\nvoid more();",
    "a promise that never resolves": "await new Promise(() => {});",
    "a regular expression": `/^(a+)+$/.test("${"a".repeat(60)}b");`,
    "a wait for a lock": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);",
  };
  it.each(Object.keys(HANGS))("%s", async (name) => {
    const report = await preview("hostile", `${HANGS[name]!}\n${HONEST}`, 1.5);
    expect(report.errors[0]).toMatchObject({ code: "timeout" });
    await serves();
  });
});

describe("ends the process:", () => {
  const ENDS: Record<string, string> = {
    "process.exit": "process.exit(0);",
    "process.abort": "process.abort();",
    "process.kill": "process.kill(process.pid, 'SIGKILL');",
    "process.disconnect": "process.disconnect();\nawait new Promise(() => {});",
    "process.reallyExit": "(process as any).reallyExit(1);",
  };
  it.each(Object.keys(ENDS))("%s", async (name) => {
    const report = await preview("hostile", `${ENDS[name]!}\n${HONEST}`);
    expect(report.errors[0]).toMatchObject({ code: "crash" });
    await serves();
  });
});

describe("takes the memory:", () => {
  const TAKES: Record<string, string> = {
    "objects of JavaScript's heap":
      "const all: unknown[] = [];\nfor (;;) all.push(new Array(1e5).fill(1.5));",
    "buffers outside of it": "const all: unknown[] = [];\nfor (;;) all.push(Buffer.alloc(1e7, 1));",
    "a thread": `import { Worker } from "node:worker_threads";
new Worker("const all = []; for (;;) all.push(Buffer.alloc(1e7, 1));", { eval: true, resourceLimits: {} });
await new Promise(() => {});`,
    "between waits": `const all: unknown[] = [];
for (;;) { all.push(new Uint8Array(1e7).fill(1)); await new Promise((resolve) => setTimeout(resolve, 1)); }`,
  };
  it.each(Object.keys(TAKES))("%s", async (name) => {
    const report = await preview("hostile", `${TAKES[name]!}\n${HONEST}`, 30);
    expect(report.errors[0]).toMatchObject({
      code: "memory",
      position: { file: workspace.file("hostile.nn.ts") },
    });
    expect(report.errors[0]?.message).toContain(`its limit of ${MEMORY} MB`);
    await serves();
  });
});

describe("floods its parent:", () => {
  it("with messages", async () => {
    await preview("hostile", `for (let i = 0; i < 2000; i++) process.send!({ noise: i });\n${HONEST}`);
    expect(logged.filter((text) => text.includes("The preview engine sent")).length).toBeLessThan(200);
    await serves();
  });

  it("with output", async () => {
    const text = `for (let i = 0; i < 2000; i++) process.stderr.write("${"x".repeat(1000)}\\n");`;
    await preview("hostile", `${text}\n${HONEST}`);
    expect(logged.join("\n").length).toBeLessThan(100_000);
    await serves();
  });
});

/** Processes of this machine whose command line has a text. */
function running(marker: string): number[] {
  const text = execFileSync("ps", ["-eo", "pid=,stat=,args="], { encoding: "utf8", maxBuffer: 1 << 24 });
  return text.split("\n").flatMap((line) => {
    const found = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line);
    return found?.[3]?.includes(marker) === true && !found[2]!.startsWith("Z") ? [Number(found[1])] : [];
  });
}

describe.skipIf(process.platform === "win32")("leaves a process behind:", () => {
  let number = 0;
  /** A program that sleeps for long, with a text in its command line that it is found by. */
  const sleeper = (): { code: string; marker: string } => {
    const marker = `sleeper-${process.pid}-${++number}`;
    return { marker, code: JSON.stringify(`setTimeout(() => {}, 60_000, "${marker}")`) };
  };
  const SPAWN = 'import { spawn, spawnSync } from "node:child_process";\nimport fs from "node:fs";\n';
  /** Notes that the program was started, which the test wants to know. */
  const noted = (marker: string, child: string): string =>
    `fs.writeFileSync(${JSON.stringify(workspace.file(marker))}, String(${child}.pid));`;

  const gone = async (marker: string): Promise<void> => {
    expect(Number(fs.readFileSync(workspace.file(marker), "utf8"))).toBeGreaterThan(1);
    await vi.waitFor(() => expect(running(marker)).toEqual([]), PATIENT);
  };

  it("a child", async () => {
    const { code, marker } = sleeper();
    await preview(
      "hostile",
      `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], { stdio: "ignore" });\n${noted(marker, "child")}\n${HONEST}`,
    );
    await gone(marker);
    await serves();
  });

  it.skipIf(process.platform !== "linux")("a child in a session of its own", async () => {
    const { code, marker } = sleeper();
    const options = `{ stdio: "ignore", detached: true }`;
    await preview(
      "hostile",
      `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], ${options});\nchild.unref();\n${noted(marker, "child")}\n${HONEST}`,
    );
    await gone(marker);
  });

  it.skipIf(process.platform !== "linux")("a child whose parent has ended, in another session", async () => {
    const { code, marker } = sleeper();
    const middle = `const fs = require("node:fs");
const child = require("node:child_process").spawn(process.execPath, ["-e", ${code}], { stdio: "ignore", detached: true });
child.unref();
${noted(marker, "child")}`;
    await preview(
      "hostile",
      `${SPAWN}spawnSync(process.execPath, ["-e", ${JSON.stringify(middle)}]);\nfor (;;);`,
      3,
    );
    await gone(marker);
  });

  it.skipIf(process.platform !== "linux")(
    "a child with an environment of its own, in another session",
    async () => {
      const { code, marker } = sleeper();
      const options = `{ stdio: "ignore", detached: true, env: {} }`;
      await preview(
        "hostile",
        `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], ${options});\nchild.unref();\n${noted(marker, "child")}\n${HONEST}`,
      );
      await gone(marker);
    },
  );

  it("a child of an engine that ends itself", async () => {
    const { code, marker } = sleeper();
    const options =
      process.platform === "linux" ? `{ stdio: "ignore", detached: true }` : `{ stdio: "ignore" }`;
    await preview(
      "hostile",
      `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], ${options});\nchild.unref();\n${noted(marker, "child")}\nprocess.exit(0);`,
    );
    await gone(marker);
  });

  it.skipIf(process.platform !== "linux")("a child of a run, in another session", async () => {
    const { code, marker } = sleeper();
    const options = `{ stdio: "ignore", detached: true }`;
    workspace.write(
      "leaves.nn.ts",
      `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], ${options});\nchild.unref();\n${noted(marker, "child")}\nexport {};`,
    );
    expect((await workspace.run(["run", "leaves.nn.ts"])).code).toBe(0);
    await gone(marker);
  });

  it.skipIf(process.platform !== "linux")(
    "a child in another session, when the window is killed",
    async () => {
      const { code, marker } = sleeper();
      const options = `{ stdio: "ignore", detached: true }`;
      const text = `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], ${options});\nchild.unref();\n${noted(marker, "child")}\nfor (;;);`;
      workspace.write("leaves.nn.ts", text);
      const { child } = workspace.start(["run", "leaves.nn.ts"]);
      await vi.waitFor(() => expect(running(marker)).toHaveLength(1), PATIENT);
      child.kill("SIGKILL");
      await gone(marker);
    },
  );

  it("when the window is closed", async () => {
    const { code, marker } = sleeper();
    const own = new PreviewEngine(() => ({ dist }));
    const text = `${SPAWN}const child = spawn(process.execPath, ["-e", ${code}], { stdio: "ignore" });\n${noted(marker, "child")}\nfor (;;);`;
    const file = workspace.file("hostile.nn.ts");
    void own.inspect({ file, text }, 60);
    await vi.waitFor(() => expect(running(marker)).toHaveLength(1), PATIENT);
    await own.dispose();
    await gone(marker);
  });
});

it("has a preview write where it isn't its own: files stay as they are", async () => {
  const file = path.join(workspace.folder, "kept.txt");
  fs.writeFileSync(file, "kept");
  await preview(
    "hostile",
    HONEST.replace("export class", `torch.save(torch.zeros(2), ${JSON.stringify(file)});\nexport class`),
  );
  expect(fs.readFileSync(file, "utf8")).toBe("kept");
  await serves();
});
