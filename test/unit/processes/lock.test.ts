import { spawn } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { beat } from "../../../extension/processes/heartbeat.ts";
import { takeLock, LockedError } from "../../../extension/processes/lock.ts";
import { readLock, type FoundLock } from "../../../extension/processes/lockFile.ts";
import { ownerOf, type Owner } from "../../../extension/processes/owner.ts";
import { newToken, tokenArgument } from "../../../extension/processes/token.ts";
import { age, killed, useSleepers, writeLock } from "../../locks.ts";
import { useFolder } from "../../folders.ts";
import { PATIENT } from "../../patience.ts";

const directory = useFolder();

const running = useSleepers();

const found = async (): Promise<FoundLock> => (await readLock(directory)) as FoundLock;
const owner = async (): Promise<Owner> => ownerOf(await found());

describe("a lock", () => {
  test("is one process's, with nothing of its token, until that gives it up", async () => {
    const token = newToken();
    const held = await takeLock(directory, token);
    expect((await found()).lock.pid).toBe(process.pid);
    expect(fs.readFileSync(held.file, "utf8")).not.toContain(token);
    held.release();
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test("is its owner's, whose command line has the token", async () => {
    const one = await running();
    await writeLock(directory, one);
    expect((await owner()).kind).toBe("here");
    await expect(takeLock(directory, newToken(), { force: true })).rejects.toThrow(LockedError);
    one.kill();
    await vi.waitFor(async () => expect((await owner()).kind).toBe("ended"), PATIENT);
  });

  test("of a process that has ended is taken over, and nothing is left of it", async () => {
    await writeLock(directory, await killed(running()));
    await takeLock(directory, newToken());
    expect(fs.readdirSync(directory)).toEqual(["lock.json"]);
  });

  test("of a process before the machine's last start is taken over", async () => {
    await writeLock(directory, await running(), { boot: "another" });
    expect((await owner()).kind).toBe("ended");
    await takeLock(directory, newToken());
  });

  test.each([{ host: "elsewhere" }, { namespace: "pid:[1]" }, { boot: "" }])(
    "of a process that can't be seen from here (%o) is taken over only by force",
    async (more) => {
      await writeLock(directory, await killed(running()), more);
      expect((await owner()).kind).toBe("elsewhere");
      await expect(takeLock(directory, newToken())).rejects.toThrow(LockedError);
      age(directory, 60_000);
      expect((await owner()).kind).toBe("silent");
      await expect(takeLock(directory, newToken())).rejects.toThrow(LockedError);
      await takeLock(directory, newToken(), { force: true });
    },
  );

  test("that is another's by now is not removed by who held it before", async () => {
    const held = await takeLock(directory, newToken());
    fs.rmSync(held.file);
    await writeLock(directory, await running());
    held.release();
    expect(fs.existsSync(held.file)).toBe(true);
  });

  test("that is no lock is removed and reported", async () => {
    fs.writeFileSync(join(directory, "lock.json"), "{}");
    const problems: string[] = [];
    await takeLock(directory, newToken(), { onInvalid: (problem) => problems.push(problem) });
    expect(problems).toEqual(["not a lock of this version"]);
  });
});

describe("of several processes that find the same lock", () => {
  let script: string;
  beforeAll(async () => {
    const folder = fs.mkdtempSync(join(tmpdir(), "layerwise-takers-"));
    script = join(folder, "taker.mjs");
    const extension = join(import.meta.dirname, "..", "..", "..", "extension");
    await build({
      stdin: {
        // Each waits for the others, as far as processes can.
        contents: `import { existsSync } from "node:fs";
          import { takeLock } from "./processes/lock.ts";
          import { takeToken } from "./processes/token.ts";
          const token = takeToken();
          const [directory, go] = process.argv.slice(2);
          console.log("ready");
          // Without spinning: on a busy machine, four that spin keep each other from running.
          const cell = new Int32Array(new SharedArrayBuffer(4));
          while (!existsSync(go)) Atomics.wait(cell, 0, 0, 1);
          takeLock(directory, token).then(() => console.log("held"), (error) => console.log(error.name));
          setInterval(() => {}, 1000);`,
        resolveDir: extension,
      },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: script,
    });
    return () => fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Has so many processes take the lock at once; answers what each printed. */
  async function race(count: number): Promise<string[]> {
    const go = join(directory, "go");
    const children = Array.from({ length: count }, () =>
      spawn(process.execPath, [script, tokenArgument(newToken()), directory, go], {
        stdio: ["ignore", "pipe", "inherit"],
      }),
    );
    try {
      const lines = children.map(({ stdout }) => createInterface({ input: stdout })[Symbol.asyncIterator]());
      await Promise.all(lines.map((one) => one.next()));
      fs.writeFileSync(go, "");
      return (await Promise.all(lines.map((one) => one.next()))).map(({ value }) => String(value)).toSorted();
    } finally {
      for (const child of children) child.kill("SIGKILL");
      fs.rmSync(go);
    }
  }

  const others = Array<string>(3).fill("LockedError");

  test("whose owner has ended, one takes it over and the others learn who has it", async () => {
    const dead = await killed(running());
    for (let round = 0; round < 3; round++) {
      await writeLock(directory, dead);
      expect(await race(4)).toEqual([...others, "held"]);
      expect(fs.readdirSync(directory)).toEqual(["lock.json"]);
    }
  });

  test("or none, one takes it", async () => {
    expect(await race(4)).toEqual([...others, "held"]);
  });

  test("or something that is no lock, one takes it", async () => {
    fs.writeFileSync(join(directory, "lock.json"), "garbage");
    expect(await race(4)).toEqual([...others, "held"]);
  });
});

describe("a sign of life", () => {
  test("is the time of the file", async () => {
    const { file, inode } = await takeLock(directory, newToken());
    age(directory, 60_000);
    expect(await beat(file, inode)).toBe("held");
    expect(Date.now() - (await found()).beat).toBeLessThan(5000);
  });

  test("isn't given for another's lock, for a link, or for a run that was deleted", async () => {
    const { file, inode } = await takeLock(directory, newToken());
    fs.renameSync(file, join(directory, "kept"));
    expect(await beat(file, inode)).toBe("missing");
    fs.writeFileSync(file, "");
    expect(await beat(file, inode)).toBe("lost");
    fs.rmSync(file);
    fs.symlinkSync("kept", file);
    expect(await beat(file, inode)).toBe("lost");
  });

  test("a time in the future is none", async () => {
    await writeLock(directory, await killed(running()), { host: "elsewhere" });
    age(directory, -365 * 24 * 3_600_000);
    expect((await owner()).kind).toBe("silent");
  });
});
