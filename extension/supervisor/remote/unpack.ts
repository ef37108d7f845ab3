// Puts the files of a job where its node has room for them, and installs the native engine there.
import { spawn } from "node:child_process";
import { copyFile, readdir, rm } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { makeFolder } from "../../files/folders.ts";
import { inside } from "../../files/inside.ts";
import { withoutTensorFlow } from "../../protocol/device.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { RayJob } from "../../remote/messages.ts";
import { PROJECT_FOLDER } from "./keeper.ts";
import { ownFolder } from "./ownFolder.ts";

export type Say = (level: "info" | "warning", text: string) => void;

/** Puts a job's files into the run's folder. @returns that folder */
export async function unpack({ run, folder: root, packages }: RayJob): Promise<string> {
  await ownFolder(root);
  const folder = join(root, "runs", run);
  await makeFolder(join(folder, PROJECT_FOLDER), 0o700);
  for (const one of packages) await lay(unpacked(one), folder);
  return folder;
}

/** Installs the native engine, unless the run is to compute without it. Without it, what ships with Layerwise computes. */
export async function prepareEngine({ request: { device } }: RayJob, dist: string, say: Say): Promise<void> {
  if (withoutTensorFlow(device)) return;
  if (!(await installEngine(dist, device === "gpu", say)))
    say("warning", "TensorFlow could not be installed on the node.");
}

/** The folder into which Ray has unpacked a package: it is on PYTHONPATH. */
function unpacked(name: string): string {
  const folders = (process.env["PYTHONPATH"] ?? "").split(delimiter);
  const found = folders.find((one) => basename(one) === basename(name, ".zip"));
  if (found !== undefined) return found;
  throw new EngineError({ code: "remote-files", message: `Ray has not unpacked ${name}.` });
}

/** Copies the files of a package: jobs with the same package share Ray's folder. */
async function lay(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const target = await inside(to, entry.name);
    if (entry.isDirectory()) {
      await makeFolder(target, 0o700);
      await lay(join(from, entry.name), target);
    } else if (entry.isFile()) {
      await rm(target, { force: true });
      await copyFile(join(from, entry.name), target);
    }
  }
}

/** Installs the native engine for this user of the node, if it is missing. Without it, what ships with Layerwise computes. */
async function installEngine(dist: string, gpu: boolean, say: Say): Promise<boolean> {
  const args = [join(dist, "cli.js"), "engine", "install", ...(gpu ? ["--gpu"] : [])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const listen = async (stream: typeof child.stdout, level: "info" | "warning"): Promise<void> => {
    for await (const line of createInterface({ input: stream })) {
      if (!/already installed/.test(line)) say(level, line.slice(0, 2000));
    }
  };
  const code = await new Promise<number | null>((settle) => {
    child.once("error", () => settle(null));
    void Promise.all([listen(child.stdout, "info"), listen(child.stderr, "warning")]);
    child.once("close", settle);
  });
  return code === 0;
}
