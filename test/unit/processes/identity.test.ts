import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import {
  factsOf,
  isAlive,
  isSameStart,
  parseStat,
  startOfThisProcess,
  type System,
} from "../../../extension/processes/identity.ts";
import { relation, thisPlace } from "../../../extension/processes/place.ts";
import { newToken, takeToken, tokenArgument, tokensIn } from "../../../extension/processes/token.ts";

const fields = (state: string, start: string): string =>
  `${state} 1 4711 4711 0 -1 4194560 100 0 0 0 5 1 0 0 20 0 11 0 ${start} 1000000 500 18446744073709551615`;

/** A system that answers what a test gives it. */
function system(platform: NodeJS.Platform, answer: string | Error | Record<string, string>): System {
  const told = (key: string): Promise<string> => {
    if (answer instanceof Error) return Promise.reject(answer);
    const text = typeof answer === "string" ? answer : answer[key];
    return text === undefined ? Promise.reject(new Error("ENOENT")) : Promise.resolve(text);
  };
  return { platform, isRunning: () => true, readFile: told, run: (command) => told(command) };
}

describe("on Linux", () => {
  const proc = (stat: string, cmdline: string): System =>
    system("linux", { "/proc/4711/stat": stat, "/proc/4711/cmdline": cmdline });

  test("a process is its start in ticks and its arguments", async () => {
    const one = proc(`4711 (node) ${fields("S", "123456")}`, "/usr/bin/node\0runEngine.js\0--a b\0");
    expect(await factsOf(4711, one)).toEqual({
      start: 123_456,
      arguments: ["/usr/bin/node", "runEngine.js", "--a b"],
    });
  });

  test("a name with brackets and spaces shifts no field", () => {
    expect(parseStat(`4711 (a) S 1 2) ${fields("R", "77")}`)).toEqual({ state: "R", parent: 1, start: 77 });
    expect(parseStat("nonsense")).toBeUndefined();
  });

  test("a zombie is gone, and an inaccessible process is hidden", async () => {
    expect(await factsOf(4711, proc(`4711 (node) ${fields("Z", "1")}`, ""))).toBe("gone");
    expect(await factsOf(4711, system("linux", new Error("EACCES")))).toBe("hidden");
    expect(await factsOf(4711, { ...system("linux", ""), isRunning: () => false })).toBe("gone");
  });
});

describe("on macOS", () => {
  test("a process is its start and its command line, as ps tells them", async () => {
    const text = "Thu Nov  7 12:15:09 2026     /usr/local/bin/node /a b/runEngine.js --layerwise-run=0\n";
    expect(await factsOf(4711, system("darwin", text))).toEqual({
      start: Date.UTC(2026, 10, 7, 12, 15, 9),
      arguments: ["/usr/local/bin/node", "/a", "b/runEngine.js", "--layerwise-run=0"],
    });
  });

  test("what isn't understood proves nothing", async () => {
    for (const text of ["", "\n", "Do 7. Nov 12:15:09 2026 node", "usage: ps"])
      expect(await factsOf(4711, system("darwin", text))).toBe("hidden");
    expect(await factsOf(4711, system("darwin", new Error("no ps")))).toBe("hidden");
  });

  test("a start is told in whole seconds", () => {
    expect(isSameStart(1_700_000_000_000, 1_700_000_000_950, "darwin")).toBe(true);
    expect(isSameStart(1_700_000_000_000, 1_700_000_004_000, "darwin")).toBe(false);
    expect(isSameStart(100, 101, "linux")).toBe(false);
  });
});

describe("on Windows", () => {
  test("a process is its start and its command line, as PowerShell tells them", async () => {
    const text =
      '1795609209123\r\n"C:\\Program Files\\nodejs\\node.exe" runEngine.js "--layerwise-run=0"\r\n';
    expect(await factsOf(4711, system("win32", text))).toEqual({
      start: 1_795_609_209_123,
      arguments: ['"C:\\Program', 'Files\\nodejs\\node.exe"', "runEngine.js", "--layerwise-run=0"],
    });
  });

  test("one of another user, whose command line isn't told, is hidden", async () => {
    for (const text of ["", "1795609209123\r\n\r\n", "Get-CimInstance : Access denied"])
      expect(await factsOf(4711, system("win32", text))).toBe("hidden");
  });

  test("programs are named by their whole path", async () => {
    const asked: string[] = [];
    const one: System = {
      ...system("win32", ""),
      run: (command) => {
        asked.push(command);
        return Promise.resolve("");
      },
    };
    await factsOf(4711, one);
    expect(asked[0]).toMatch(/^C:[\\/]Windows[\\/]System32[\\/]/);
  });
});

test("this process is the one that the system knows", async () => {
  const facts = await factsOf(process.pid);
  expect(facts).toMatchObject({ arguments: expect.arrayContaining([process.argv[0]]) });
  expect(isSameStart((facts as { start: number }).start, startOfThisProcess())).toBe(true);
});

test("a process that has ended is not alive", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  await once(child, "spawn");
  expect(await isAlive(child.pid)).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await isAlive(child.pid)).toBe(false);
});

describe("a token", () => {
  test("is taken out of the arguments that user code sees", () => {
    const token = newToken();
    const args = ["node", "runEngine.js", tokenArgument(token), "mine"];
    expect(tokensIn(args)).toEqual([token]);
    expect(takeToken(args)).toBe(token);
    expect(args).toEqual(["node", "runEngine.js", "mine"]);
    expect(takeToken(args)).toMatch(/^[0-9a-f]{32}$/);
  });

  test("is a whole argument of 32 digits", () => {
    const token = newToken();
    expect(tokensIn([`x${tokenArgument(token)}`, `${tokenArgument(token)}0`, tokenArgument("")])).toEqual([]);
  });
});

describe("a place", () => {
  const own = { host: "box", machine: "m", boot: "b", namespace: "pid:[1]" };

  test("is here, before the last start, or unknown", () => {
    expect(relation(own, own)).toBe("here");
    expect(relation({ ...own, boot: "other" }, own)).toBe("before");
    expect(relation({ ...own, host: "other" }, own)).toBe("unknown");
    expect(relation({ ...own, machine: "other", boot: "other" }, own)).toBe("unknown");
    expect(relation({ ...own, namespace: "pid:[2]" }, own)).toBe("unknown");
  });

  test("is unknown where the system doesn't tell", () => {
    expect(relation({ ...own, boot: "" }, { ...own, boot: "" })).toBe("unknown");
    expect(relation({ ...own, namespace: "" }, { ...own, namespace: "" })).toBe("unknown");
  });

  test("has a name that can be shown", () => {
    expect(thisPlace().host).toMatch(/^[\w.-]+$/);
    expect(relation(thisPlace())).toBe("here");
  });
});
