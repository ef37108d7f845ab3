import fs from "node:fs";
import path from "node:path";
import { FakeRay } from "../../fakeRay.ts";
import { around, useFolder } from "../../folders.ts";
import { killAll, processes } from "../../processes.ts";

/** A cluster named "cluster" for each test of a file, which starts the jobs that are submitted. */
export class Cluster {
  ray!: FakeRay;
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** The folder of its runs. */
  get there(): string {
    return path.join(this.folder, "there");
  }

  /** The environment of commands that reach it. */
  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      XDG_CONFIG_HOME: path.join(this.folder, "config"),
      LAYERWISE_CACHE: path.join(this.folder, "cache"),
      ...more,
    };
  }

  /** Processes of its jobs. */
  workers(): { pid: number }[] {
    return processes().filter(({ command }) => command.includes(this.folder));
  }

  async start(): Promise<void> {
    const ray = new FakeRay();
    this.ray = ray;
    await ray.start();
    ray.execute(path.join(this.folder, "jobs"), { LAYERWISE_DEVICE: "cpu" });
    const cluster = { host: ray.url, node: process.execPath, folder: this.there };
    fs.mkdirSync(path.join(this.folder, "config/layerwise"), { recursive: true });
    fs.writeFileSync(path.join(this.folder, "config/layerwise/targets.json"), JSON.stringify({ cluster }));
  }

  async stop(): Promise<void> {
    await this.ray.stop();
    killAll(this.workers().map(({ pid }) => pid));
  }
}

export function useFakeRay(): Cluster {
  const cluster = new Cluster(useFolder());
  around(
    "each",
    () => cluster.start(),
    () => cluster.stop(),
  );
  return cluster;
}
