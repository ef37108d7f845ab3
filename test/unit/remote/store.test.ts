import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Store } from "../../../extension/supervisor/remote/store.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();
afterEach(() => void vi.restoreAllMocks());

const content = Buffer.from("hello");
const hash = createHash("sha256").update(content).digest("hex");
const files = (): string[] => fs.readdirSync(path.join(folder, "files"));

test("removes an incomplete file when its connection ends", async () => {
  const store = new Store(folder);
  await store.put(hash, 0, false, content);
  expect(files()).toHaveLength(1);
  await store.close();
  expect(files()).toEqual([]);
});

test("removes files of killed agents only, neither complete ones nor those being written", async () => {
  const [killed, whole] = [new Store(folder), new Store(folder)];
  await whole.put(hash, 0, true, content);
  await killed.put(hash, 0, false, content);
  fs.mkdirSync(path.join(folder, "packages/.0123456789abcdef.tmp/dist"), { recursive: true });
  fs.mkdirSync(path.join(folder, "packages", hash), { recursive: true });
  await new Store(folder).sweep();
  expect(files()).toHaveLength(2);
  const later = Date.now() + 2 * 3_600_000;
  vi.spyOn(Date, "now").mockReturnValue(later);
  await new Store(folder).sweep();
  expect(files()).toEqual([hash.slice(0, 2)]);
  expect(fs.readdirSync(path.join(folder, "packages"))).toEqual([hash]);
  expect(await whole.missing([hash])).toEqual([]);
  await killed.close();
});
