// Runs on a real Ray cluster: Node comes from pip, the token is wanted.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readRun, useWorkspace } from "../../engine/workspace.ts";
import { around } from "../../folders.ts";
import { curves, rowsOf, until, useProgram, weightsOf } from "./program.ts";
import { prepareRay, Ray } from "./ray.ts";

const workspace = useWorkspace();
const { write, here } = useProgram(workspace);
const noRay = prepareRay();
const ray = new Ray();

describe.skipIf(noRay !== undefined)(
  `a run on Ray${noRay === undefined ? "" : ` (skipped: ${noRay})`}`,
  () => {
    around(
      "all",
      () => ray.start(),
      () => ray.stop(),
    );
    const train = (): string[] => {
      const cluster = { host: ray.url, folder: ray.there };
      workspace.write("config/layerwise/targets.json", JSON.stringify({ cluster }));
      return ["train", "net.nn.ts", "--on", "cluster", "--device", "cpu", "--no-progress"];
    };
    const env = (): NodeJS.ProcessEnv => ({ ...ray.env, XDG_CONFIG_HOME: workspace.file("config") });

    test(
      "is followed live to the weights, curves and log of one that runs here",
      { timeout: 240_000 },
      async () => {
        write("net.nn.ts", { wait: 20 });
        const expected = await here("net.nn.ts");
        const command = workspace.start(train(), env());
        await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
        const [directory = ""] = workspace.runs();
        expect(readRun(directory)).toMatchObject({ state: "running", on: { name: "cluster" } });
        const { code, stdout, stderr } = await command.ended;
        expect(code, stderr).toBe(0);
        expect(stdout).toContain("seen 3");
        expect(curves(directory)).toEqual(curves(expected));
        expect(weightsOf(directory)).toEqual(weightsOf(expected));
        expect(fs.readFileSync(path.join(directory, "log.txt"), "utf8")).toContain("seen 20");
      },
    );

    test("is stopped with its state; without the token there is none", async () => {
      write("net.nn.ts", { wait: 20, epochs: 10_000 });
      const refused = await workspace.run(train(), { env: { ...env(), RAY_AUTH_TOKEN: "" } });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("it requires a token (HTTP 401)");
      const command = workspace.start(train(), env());
      await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
      const [directory = ""] = workspace.runs();
      const { stdout, stderr } = await workspace.run(["runs", "--stop", path.basename(directory)], {
        env: env(),
      });
      expect(stdout, stderr).toContain("stopped after step");
      expect((await command.ended).code).toBe(130);
      expect(readRun(directory).checkpoints.map(({ kind }) => kind)).toContain("last");
      await until(() => ray.workers().length === 0, "no process is left there");
    });
  },
);
