import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import {
  createExclusive,
  readFound,
  Standing,
  takeAway,
  takeExclusive,
} from "../../../extension/files/exclusive.ts";
import { useFolder } from "../../folders.ts";

const LIMIT = 4096;
const folder = useFolder();

describe("a file that only one process can create", () => {
  test("is never seen without its text", async () => {
    const file = join(folder, "lock.json");
    const seen = new Set<number>();
    const done = new AbortController();
    const look = async (): Promise<void> => {
      while (!done.signal.aborted) {
        const size = fs.statSync(file, { throwIfNoEntry: false })?.size;
        if (size !== undefined) seen.add(size);
        await new Promise(setImmediate);
      }
    };
    const looks = look();
    for (let i = 0; i < 50; i++) {
      expect(await createExclusive(file, () => "whole")).toMatchObject({ text: "whole" });
      await new Promise(setImmediate);
      fs.rmSync(file);
    }
    done.abort();
    await looks;
    expect([...seen]).toEqual([5]);
  });

  test("knows its inode, and leaves nothing else", async () => {
    const file = join(folder, "lock.json");
    const created = await createExclusive(file, (inode) => `of ${inode}`);
    expect(fs.readFileSync(file, "utf8")).toBe(`of ${String(fs.statSync(file, { bigint: true }).ino)}`);
    expect(created?.text).toBe(fs.readFileSync(file, "utf8"));
    expect(await createExclusive(file, () => "another")).toBeUndefined();
    expect(fs.readdirSync(folder)).toEqual(["lock.json"]);
  });

  test.each(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])(
    "is also created where the file system has no hard links (%s)",
    async (code) => {
      const link = vi
        .spyOn(fs.promises, "link")
        .mockRejectedValue(Object.assign(new Error("no hard links"), { code }));
      syncBuiltinESMExports();
      try {
        const file = join(folder, "lock.json");
        expect(await createExclusive(file, () => "whole")).toMatchObject({ text: "whole" });
        expect(await createExclusive(file, () => "another")).toBeUndefined();
        expect(link).toHaveBeenCalledTimes(2);
        expect(fs.readFileSync(file, "utf8")).toBe("whole");
        expect(fs.readdirSync(folder)).toEqual(["lock.json"]);
      } finally {
        link.mockRestore();
        syncBuiltinESMExports();
      }
    },
  );
});

describe("a file that is taken away", () => {
  test("may be anything that was found", async () => {
    const file = join(folder, "lock.json");
    const id = async (): Promise<string | undefined> => (await readFound(file, LIMIT))?.id;
    for (const make of [
      () => fs.writeFileSync(file, "text"),
      () => fs.writeFileSync(file, Buffer.alloc(LIMIT + 1)),
      () => fs.mkdirSync(join(file, "deep"), { recursive: true }),
      () => fs.symlinkSync(folder, file),
    ]) {
      make();
      expect(await takeAway(file, (await id())!, id)).toBe(true);
      expect(fs.readdirSync(folder)).toEqual([]);
    }
  });

  test("isn't the one with which another process has replaced it", async () => {
    const file = join(folder, "lock.json");
    fs.writeFileSync(file, "old");
    const { id } = (await readFound(file, LIMIT))!;
    fs.rmSync(file);
    fs.writeFileSync(file, "new");
    expect(await takeAway(file, id, async () => (await readFound(file, LIMIT))?.id)).toBe(false);
    expect(fs.readdirSync(folder)).toEqual(["lock.json"]);
  });
});

describe("a file that is taken", () => {
  const take = (file: string, verdict: "free" | "held" | "unreadable", calls: string[]) =>
    takeExclusive(file, {
      textOf: () => "new",
      read: () => readFound(file, LIMIT),
      judge: () => verdict,
      onRemoved: () => calls.push("removed"),
      onWait: () => calls.push("waits"),
      attempts: 5,
      pause: 1,
    });

  test.each([
    ["free", "new", ["removed"]],
    ["held", "old", ["waits"]],
    ["unreadable", "old", ["waits"]],
  ] as const)("when there is one that is %s", async (verdict, text, expected) => {
    const file = join(folder, "lock.json");
    fs.writeFileSync(file, "old");
    const calls: string[] = [];
    expect((await take(file, verdict, calls))?.text).toBe(text === "new" ? text : undefined);
    expect(fs.readFileSync(file, "utf8")).toBe(text);
    expect(calls).toEqual(expected);
    expect(fs.readdirSync(folder)).toEqual(["lock.json"]);
  });
});

test("the age of a file is counted from its last change", () => {
  const standing = new Standing();
  expect(["a", "a", "b", "b", "b", "a"].map((id) => standing.found(id))).toEqual([1, 2, 1, 2, 3, 1]);
});
