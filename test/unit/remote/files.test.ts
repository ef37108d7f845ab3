import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { projectFiles } from "../../../extension/remote/files.ts";
import { hostsOf } from "../../../extension/remote/sshConfig.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

async function sent(
  sources: readonly string[],
  send: readonly string[] = [],
  limit = 1e6,
): Promise<string[]> {
  const { files } = await projectFiles({ root: folder, sources, send, limit });
  return files.map((file) => file.path).toSorted();
}

test("sends the files and folders that the sources name, relative to the program or to the project", async () => {
  write("data/a.csv", "1");
  write("models/near.csv", "2");
  write("images/cat/1.png", "3");
  write("images/dog/2.png", "4");
  write("unnamed.csv", "5");
  const net = write(
    "models/net.nn.ts",
    `data.csv("near.csv"); data.csv('data/a.csv'); new data.ImageFolder(\`images\`)`,
  );
  const part = write("models/part.ts", `export const other = "../data/a.csv"`);
  expect(await sent([net, part])).toEqual([
    "data/a.csv",
    "images/cat/1.png",
    "images/dog/2.png",
    "models/near.csv",
  ]);
  expect(await sent([net], ["unnamed.csv"])).toContain("unnamed.csv");
});

test("sends neither hidden files, nor links, nor packages, nor the folder around the program", async () => {
  const outside = path.join(path.dirname(folder), "outside.txt");
  write(".env", "secret");
  write("data/.secret", "secret");
  write("data/a.csv", "1");
  write("node_modules/x/index.js", "x");
  write("models/other.ts", "x");
  fs.symlinkSync(outside, path.join(folder, "data/link"));
  fs.symlinkSync("/etc", path.join(folder, "etc"));
  const net = write(
    "models/net.nn.ts",
    `[".env", "data", "node_modules", ".", "..", "./", "models", "etc/passwd", "/etc/passwd"]`,
  );
  expect(await sent([net])).toEqual(["data/a.csv"]);
  const { left } = await projectFiles({ root: folder, sources: [net], send: [], limit: 1e6 });
  expect(left).toEqual(["data/link"]);
});

test("refuses too much data, naming the largest files, and paths outside of the project", async () => {
  write("data/a.csv", "x".repeat(2000));
  const net = write("net.nn.ts", `"data"`);
  await expect(sent([net], [], 1000)).rejects.toThrow(
    "The program's files have 2.0 kB, more than the limit of 1.0 kB. The largest: data/a.csv (2.0 kB).",
  );
  await expect(sent([net], ["../else"])).rejects.toThrow("it is not below the project's folder");
  await expect(sent([net], ["missing"])).rejects.toThrow("There is no missing to send.");
});

test("lists the names of single machines in an ssh configuration", () => {
  const text = `
Host gpu  login.example.org
  HostName 10.0.0.1
host=box
HOST "quoted"
Host *.example.org !not ?x -option
Match host other
Host gpu
`;
  expect(hostsOf(text)).toEqual(["gpu", "login.example.org", "box", "quoted"]);
});
