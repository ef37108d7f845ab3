import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { describeExit, lastLines } from "../../../extension/supervisor/engines/process.ts";
import { PreviewEngine } from "../../../extension/supervisor/engines/preview.ts";
import { isAlive } from "../../../extension/processes/identity.ts";
import { PATIENT } from "../../patience.ts";

const dist = fileURLToPath(new URL("../../fixtures/engines", import.meta.url));
const engines: PreviewEngine[] = [];

function preview(overrides: { helloTimeout?: number; dist?: string } = {}): PreviewEngine {
  const engine = new PreviewEngine(() => ({ dist, ...overrides }));
  engines.push(engine);
  return engine;
}

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.dispose()));
});

test("one process answers all files, started by the first request", async () => {
  const engine = preview();
  expect(engine.alive).toBe(false);
  const [a, b] = await Promise.all([
    engine.inspect({ file: "/a.nn.ts", text: "a" }),
    engine.inspect({ file: "/b.nn.ts", text: "b" }),
  ]);
  expect(a?.experiments[0]?.exportName).toBe("a");
  expect(b?.experiments[0]?.exportName).toBe("b");
  expect(a?.experiments[0]?.model).toBe(b?.experiments[0]?.model);
});

test("only the newest request of a file is answered", async () => {
  const engine = preview();
  const texts = ["slow", "one", "two", "three"];
  const answers = await Promise.all(texts.map((text) => engine.inspect({ file: "/a.nn.ts", text })));
  expect(answers.map((report) => report?.experiments[0]?.exportName)).toEqual([
    undefined,
    undefined,
    undefined,
    "three",
  ]);
  // The engine was asked twice: for the first, which it had already, and for the newest.
  expect(answers[3]?.experiments[0]?.epochs).toBe(2);
});

test("an endless loop is ended at its time, reported at its line, and the next request gets a new process", async () => {
  const engine = preview();
  const before = await engine.inspect({ file: "/a.nn.ts", text: "fine" });
  const looping = await engine.inspect({ file: "/a.nn.ts", text: "loop" }, 0.5);
  expect(looping?.errors).toHaveLength(1);
  expect(looping?.errors[0]).toMatchObject({
    code: "timeout",
    position: { file: "/a.nn.ts", line: 12, column: 5 },
  });
  expect(looping?.errors[0]?.message).toContain("Still running after 0.5 seconds");
  const oldPid = Number(before?.experiments[0]?.model);
  await vi.waitFor(async () => expect(await isAlive(oldPid)).toBe(false), PATIENT);
  const after = await engine.inspect({ file: "/a.nn.ts", text: "fine" });
  expect(after?.errors).toEqual([]);
  expect(after?.experiments[0]?.model).not.toBe(before?.experiments[0]?.model);
});

test("a crash is an error of the file, and the next file is served", async () => {
  const engine = preview();
  const [crashed, next] = await Promise.all([
    engine.inspect({ file: "/a.nn.ts", text: "crash" }),
    engine.inspect({ file: "/b.nn.ts", text: "fine" }),
  ]);
  expect(crashed?.errors[0]).toMatchObject({ code: "crash" });
  expect(crashed?.errors[0]?.message).toContain("signal SIGABRT");
  expect(next?.errors).toEqual([]);
});

test("a full memory is told as what it is", () => {
  const stderr =
    "<--- Last few GCs --->\n[7:0x1] 9 ms: Mark-Compact\nFATAL ERROR: JavaScript heap out of memory\n";
  const exit = { code: null, signal: "SIGABRT", stderr } as const;
  expect(describeExit(exit)).toBe("it ran out of memory");
  expect(lastLines(exit)).toBeUndefined();
});

test("an invalid answer and a thrown error are internal errors", async () => {
  const engine = preview();
  const invalid = await engine.inspect({ file: "/a.nn.ts", text: "invalid" });
  expect(invalid?.errors[0]?.code).toBe("internal");
  expect(invalid?.errors[0]?.message).toContain("invalid report");
  const thrown = await engine.inspect({ file: "/a.nn.ts", text: "throw" });
  expect(thrown?.errors[0]).toEqual({ code: "internal", message: "internal: no graph" });
});

test("an engine that can't start is an error of each request, tried again by the next", async () => {
  const engine = preview({ dist: `${dist}/nowhere` });
  for (let i = 0; i < 2; i++) {
    const report = await engine.inspect({ file: "/a.nn.ts", text: "fine" });
    expect(report?.errors[0]).toMatchObject({ code: "engine" });
    expect(report?.errors[0]?.hint).toContain("previewEngine.js");
  }
});

test("a disposed engine leaves no process and answers what waits", async () => {
  const engine = preview();
  const report = await engine.inspect({ file: "/a.nn.ts", text: "fine" });
  const waiting = [
    engine.inspect({ file: "/a.nn.ts", text: "slow" }),
    engine.inspect({ file: "/b.nn.ts", text: "fine" }),
  ];
  await engine.dispose();
  expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
  expect(await isAlive(Number(report?.experiments[0]?.model))).toBe(false);
  expect(await engine.inspect({ file: "/a.nn.ts", text: "fine" })).toBeUndefined();
});
