import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { AppendFile } from "../../extension/files/append.ts";
import { demandPortable, inside, insideSync } from "../../extension/files/inside.ts";
import { openRegular, readRegular, readRegularSync } from "../../extension/files/regular.ts";
import { writeAtomic, writeAtomicAsync } from "../../extension/files/writeAtomic.ts";
import { FolderName } from "../../extension/protocol/names.ts";
import { CheckpointRecord } from "../../extension/protocol/run.ts";
import { listRuns } from "../../extension/supervisor/runs/runDirectory.ts";
import { useFolder } from "../folders.ts";
import { checkpoint, hostileRecord, writeRun } from "./hostileRun.ts";

const folder = useFolder();
let victim: string;
beforeEach(() => {
  victim = join(folder, "victim.txt");
  fs.writeFileSync(victim, "precious");
});

const posix = it.skipIf(process.platform === "win32");
const limit = 1000;

describe("reading", () => {
  posix.each(["/dev/ptmx", "/dev/zero", "/dev/tty", "/dev/random"])("links a file to %s", async (device) => {
    const path = join(folder, "run.json");
    fs.symlinkSync(device, path);
    await expect(readRegular(path, { limit })).rejects.toThrow(/symbolic link/);
    expect(() => readRegularSync(path, { limit })).toThrow(/symbolic link/);
    // Where links are allowed, what they lead to still has to be a file, and small enough.
    const followed = readRegular(path, { limit, follow: true });
    await expect(followed).rejects.toThrow(/found a device|ENXIO|ENOENT|EACCES|EIO|regular file/);
  });

  posix("puts a named pipe where a file is expected", async () => {
    const path = join(folder, "metrics.jsonl");
    execFileSync("mkfifo", [path]);
    await expect(readRegular(path, { limit })).rejects.toThrow(/found a named pipe/);
    await expect(openRegular(path, { follow: true })).rejects.toThrow(/found a named pipe/);
    expect(() => readRegularSync(path, { limit })).toThrow(/found a named pipe/);
    const append = new AppendFile(path);
    append.push("row\n");
    expect(() => append.flush()).toThrow(/regular file/);
  });

  it("puts a folder where a file is expected", async () => {
    await expect(readRegular(folder, { limit })).rejects.toThrow(/found a folder/);
  });

  it("has a file of a terabyte that takes no disk", async () => {
    const path = join(folder, "run.json");
    fs.writeFileSync(path, "");
    fs.truncateSync(path, 2 ** 40);
    await expect(readRegular(path, { limit })).rejects.toThrow(/1,099,511,627,776 bytes; the limit is 1,000/);
    expect(() => readRegularSync(path, { limit })).toThrow(/the limit is 1,000/);
  });
});

describe("writing", () => {
  posix("links the file that is replaced to a user's file", async () => {
    const path = join(folder, "run.json");
    fs.symlinkSync(victim, path);
    writeAtomic(path, [Buffer.from("hostile")]);
    expect(fs.lstatSync(path).isSymbolicLink()).toBe(false);
    fs.rmSync(path);
    fs.symlinkSync(victim, path);
    await writeAtomicAsync(path, [Buffer.from("hostile")]);
    expect(fs.readFileSync(victim, "utf8")).toBe("precious");
  });

  posix("links a log to a user's file", () => {
    const path = join(folder, "log.txt");
    fs.symlinkSync(victim, path);
    const append = new AppendFile(path);
    append.push("hostile");
    expect(() => append.flush()).toThrow(/regular file/);
    expect(fs.readFileSync(victim, "utf8")).toBe("precious");
  });

  posix("gives a user's file a second name, the log's", () => {
    const path = join(folder, "log.txt");
    fs.linkSync(victim, path);
    const append = new AppendFile(path);
    append.push(" and more");
    append.flush();
    append.close();
    expect(fs.readFileSync(victim, "utf8")).toBe("precious");
    expect(fs.readFileSync(path, "utf8")).toBe("precious and more");
  });
});

describe("paths", () => {
  it.each(["../victim.txt", "a/../../victim.txt", "/etc/passwd", "", ".", "..", "a//b", "a\\..\\b", "a\0b"])(
    "names a file %j",
    async (name) => {
      await expect(inside(folder, name)).rejects.toThrow(/not a path inside/);
      expect(() => insideSync(folder, name)).toThrow(/not a path inside/);
    },
  );

  posix("links a folder on the way out of the root", async () => {
    fs.mkdirSync(join(folder, "root"));
    fs.symlinkSync(folder, join(folder, "root", "checkpoints"));
    await expect(inside(join(folder, "root"), "checkpoints/victim.txt")).rejects.toThrow(/symbolic link/);
    expect(() => insideSync(join(folder, "root"), "checkpoints", "victim.txt")).toThrow(/symbolic link/);
  });

  posix("links the file itself, also to nowhere", async () => {
    fs.symlinkSync(join(folder, "nowhere"), join(folder, "link"));
    await expect(inside(folder, "link")).rejects.toThrow(/symbolic link/);
  });

  posix("lets the root itself be reached through a link, as users do", async () => {
    fs.mkdirSync(join(folder, "disk"));
    fs.symlinkSync(join(folder, "disk"), join(folder, "root"));
    expect(await inside(join(folder, "root"), "a/b")).toBe(join(folder, "root", "a", "b"));
  });
});

/** Names that Windows takes for a device, for another file, or for a hidden part of one. */
const ON_WINDOWS = [
  ..."CON|nul|Aux.txt|com1|LPT9.safetensors|COM¹.x|conin$|PRN .a|nul. |a:b|a.|a |.. |...|a?b|.a:b".split("|"),
  `${"a".repeat(300)}:b`,
];

describe("a name that is another one on Windows", () => {
  it.each(ON_WINDOWS)("is %j, and names no file there", (name) => {
    const { platform } = process;
    Object.defineProperty(process, "platform", { value: "win32" });
    onTestFinished(() => void Object.defineProperty(process, "platform", { value: platform }));
    expect(() => insideSync(folder, name)).toThrow(/not a path inside/);
    for (const plain of [".layerwise", "console", "com.txt", "auxiliary.x", "a.b", ".aux", "com10", "NULL"])
      expect(insideSync(folder, plain)).toBe(join(folder, plain));
  });

  it.each(ON_WINDOWS)("is %j, and is made nowhere", (name) => {
    expect(() => demandPortable(join(folder, name))).toThrow(/its name|no name/);
    expect(v.is(FolderName, name)).toBe(false);
    expect(v.is(CheckpointRecord.entries.file, `checkpoints/${name}`)).toBe(false);
  });

  it("is that of a run or a checkpoint among others, whose list has all but these", async () => {
    const good = writeRun(folder, "20260101-000000-net", hostileRecord("net.nn.ts"));
    const bad = [checkpoint, { ...checkpoint, file: "checkpoints/aux.safetensors" }];
    writeRun(folder, "20260101-000001-net", { ...hostileRecord("net.nn.ts"), checkpoints: bad });
    writeRun(folder, "nul", hostileRecord("net.nn.ts"));
    const problems: string[] = [];
    const runs = await listRuns(folder, (error) => void problems.push(String(error)));
    expect(runs.map(({ directory }) => directory)).toEqual([good]);
    expect(problems.sort()).toEqual([
      expect.stringContaining("expected a file of the run's checkpoints folder"),
      expect.stringContaining("Windows keeps its name for a device"),
    ]);
  });
});
