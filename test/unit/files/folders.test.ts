// Folders are made with those above them, and where that can't be done, the caller is told so at once.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { makeFolder, makeFolderSync } from "../../../extension/files/folders.ts";
import { describeFileError } from "../../../extension/files/fileError.ts";
import { useFolder } from "../../folders.ts";

const home = useFolder();
const linux = it.skipIf(process.platform !== "linux");
const posix = it.skipIf(process.platform === "win32");

/** Made by either function, whose outcomes are the same. */
describe.each([
  ["makeFolder", makeFolder],
  ["makeFolderSync", async (folder: string) => makeFolderSync(folder)],
])("%s", (_, make) => {
  it("makes missing folders above it, and accepts one that is there", async () => {
    const folder = path.join(home, "a", "b", "c");
    for (let i = 0; i < 2; i++) await make(folder);
    expect(fs.statSync(folder).isDirectory()).toBe(true);
  });

  it("makes one folder for all that want it at once", async () => {
    const above = path.join(home, "a", "b");
    await Promise.all(Array.from({ length: 20 }, (_, i) => make(path.join(above, String(i % 4), "c"))));
    expect(fs.readdirSync(above)).toEqual(["0", "1", "2", "3"]);
  });

  it("says so where a file is in its way", async () => {
    const file = path.join(home, "file");
    fs.writeFileSync(file, "");
    for (const folder of [file, path.join(file, "a", "b")])
      await expect(make(folder)).rejects.toThrow(/EEXIST|ENOTDIR/);
  });

  posix("follows links to folders, and says so where one leads nowhere", async () => {
    const above = home;
    fs.mkdirSync(path.join(above, "there"));
    fs.symlinkSync("there", path.join(above, "link"));
    fs.symlinkSync("nowhere", path.join(above, "dangling"));
    await make(path.join(above, "link"));
    await make(path.join(above, "link", "a"));
    expect(fs.readdirSync(path.join(above, "there"))).toEqual(["a"]);
    await expect(make(path.join(above, "dangling", "a"))).rejects.toThrow(/EEXIST|ENOENT/);
  });

  // Node's recursive mkdir tries that without an end.
  linux("says so where the system has a folder and makes nothing in it", async () => {
    for (const folder of ["/proc/layerwise", "/proc/layerwise/a/b"])
      await expect(make(folder).catch((error: unknown) => describeFileError(error))).resolves.toMatch(
        /ENOENT|EACCES|EPERM/,
      );
  });
});
