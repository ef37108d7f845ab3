// The command line on folders and files of a stranger: no text of theirs reaches the terminal as more than text.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { dist } from "../engine/workspace.ts";
import { useFolder } from "../folders.ts";
import { HOSTILE, hostileRecord, safetensors, STEERS, writeRun } from "./hostileRun.ts";

const CLI = path.join(dist, "cli.js");
const folder = useFolder("all");

interface Printed {
  code: number | null;
  out: string;
}

const environment = { ...process.env, LAYERWISE_DEVICE: "cpu", LAYERWISE_NO_CHECK: "1" };

/** Runs the command line; answers both of its streams together. */
function layerwise(...args: string[]): Printed {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: environment,
    encoding: "utf8",
  });
  return { code: status, out: stdout + stderr };
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The same on a terminal. */
function onTerminal(...args: string[]): Printed {
  const command = [process.execPath, CLI, ...args].map(quoted).join(" ");
  const { status, stdout } = spawnSync("script", ["-qec", command, "/dev/null"], {
    cwd: folder,
    env: { ...environment, TERM: "xterm-256color" },
    encoding: "utf8",
  });
  // A terminal's line ends, this program's own colours, and the bar's moves of the cursor.
  const own = new RegExp(String.raw`\r|\u001b\[(?:(?:1|2|22|31|36|39)m|\?(?:25|7)[hl]|\d*[AGJK])`, "g");
  return { code: status, out: stdout.replaceAll(own, "") };
}

const hasTerminal =
  spawnSync("script", ["-qec", "true", "/dev/null"]).status === 0 && process.platform === "linux";
const posix = it.skipIf(process.platform === "win32");

const MODEL = `
import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
const EVIL = ${JSON.stringify(HOSTILE.replaceAll(".", ""))};
class Net extends nn.Module {
  constructor() { super(); (this as any)[EVIL] = new nn.Linear(4, 3); }
  forward(x: Tensor): Tensor { return (this as any)[EVIL](x); }
}
Object.defineProperty(Net, "name", { value: "Net " + EVIL });
export { Net };
const set = Object.assign(new data.TensorDataset(torch.randn(12, 4), torch.randint(0, 3, [12])),
  { classes: ["a" + EVIL, "b" + EVIL, "c" + EVIL] });
export default experiment({
  seed: 0,
  model: () => new Net(),
  data: () => set,
  loss: new nn.CrossEntropyLoss(),
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
  metrics: { ["m" + EVIL]: (o: Tensor, t: Tensor) => o.argmax(1).eq(t).to("float32").mean() } as any,
  classes: ["a" + EVIL, "b" + EVIL, "c" + EVIL],
  epochs: 2,
} as any);
`;

beforeAll(() => {
  const record = hostileRecord(path.join(folder, "net.nn.ts"));
  writeRun(folder, "20260101-000000-net", record);
  writeRun(folder, "renamed", { ...record, id: `id ${HOSTILE}` });
  writeRun(folder, "broken", `{"id": ${JSON.stringify(HOSTILE)}`);
  if (process.platform !== "win32") writeRun(folder, "\u001b[2J\u009b1m\u202e\rname", `no JSON ${HOSTILE}`);
  const tensors = safetensors([HOSTILE, `other ${HOSTILE}`], { [HOSTILE]: HOSTILE });
  fs.writeFileSync(path.join(folder, "evil.safetensors"), tensors);
  fs.writeFileSync(path.join(folder, "evil2.safetensors"), safetensors([`third ${HOSTILE}`], {}));
  fs.writeFileSync(path.join(folder, "net.nn.ts"), MODEL);
  fs.writeFileSync(
    path.join(folder, "throws.nn.ts"),
    `throw new Error(${JSON.stringify(HOSTILE)}); // \u001b[2J \u009b31m \u202e`,
  );
});

function expectPlain({ out }: Printed): void {
  expect(out.match(STEERS)?.[0]).toBeUndefined();
}

describe("a terminal", () => {
  it("puts escape sequences into a run's id, model and metrics for `runs`", () => {
    const printed = layerwise("runs");
    expect(printed.code).toBe(0);
    expect(printed.out).toContain("Model [Trust]");
    expect(printed.out).toContain("\\x1b[2J");
    expectPlain(printed);
    // A table's row is one line: nothing can pretend to be another run.
    expect(printed.out.split("\n").filter((line) => line.startsWith("FAKE LINE"))).toEqual([]);
  });

  it("puts escape sequences into a run's id for `runs --json`", () => {
    const printed = spawnSync(process.execPath, [CLI, "runs", "--json"], { cwd: folder, encoding: "utf8" });
    expectPlain({ code: 0, out: printed.stdout + printed.stderr });
    const [line] = printed.stdout.split("\n").filter((one) => one.includes("FAKE"));
    expect((JSON.parse(line!) as { model: string }).model).toBe(`Model ${HOSTILE}`);
  });

  it("puts escape sequences into the id of a run that is to be stopped", () => {
    expectPlain(layerwise("runs", "--stop", "20260101-000000-net"));
  });

  it("puts escape sequences into the record of a run to resume, evaluate or export", () => {
    for (const args of [
      ["train", "--resume", "20260101-000000-net"],
      ["train", "--resume", "broken"],
      ["export", "20260101-000000-net", "--format", "onnx"],
      ["export", "broken", "--format", "onnx"],
    ]) {
      const printed = layerwise(...args);
      expect(printed.code).not.toBe(0);
      expectPlain(printed);
    }
  });

  it("puts escape sequences into names and metadata of tensors for `inspect`", () => {
    for (const args of [[], ["--no-values"], ["--json"], ["--compare", "evil2.safetensors"]]) {
      const printed = layerwise("inspect", "evil.safetensors", ...args);
      expect(printed.code).toBe(0);
      expect(printed.out).toContain("FAKE LINE");
      expectPlain(printed);
      expect(printed.out.split("\n").filter((line) => line.startsWith("FAKE LINE"))).toEqual([]);
    }
  });

  posix("puts escape sequences into the name of a damaged file, an option or a file that isn't there", () => {
    const name = "\u001b[2J\u009b31m\u202e.safetensors";
    fs.writeFileSync(path.join(folder, name), `damaged ${HOSTILE}`);
    expectPlain(layerwise("inspect", name));
    expectPlain(layerwise("inspect", "no\u001b[2J.pth"));
    expectPlain(layerwise("inspect", "evil.safetensors", "--\u001b[2J"));
    expectPlain(layerwise("\u001b]0;owned\u0007"));
  });

  it("puts escape sequences into names of classes, layers, metrics and files of a model", () => {
    for (const args of [["print"], ["print", "--json"], ["summary", "--weights"]]) {
      const [command, ...rest] = args;
      const printed = layerwise(command!, "net.nn.ts", ...rest);
      expect(printed.out).toContain("Net [Trust]");
      expectPlain(printed);
    }
    expectPlain(layerwise("print", "net.nn.ts#\u001b[2J"));
  });

  it("puts escape sequences into an error and the line that throws it", () => {
    const printed = layerwise("print", "throws.nn.ts");
    expect(printed.out).toContain("\\x1b[2J");
    expectPlain(printed);
  });

  const weights = "trained/checkpoints/final.safetensors";
  const sampled = ["--checkpoint", weights, "--count", "2"];

  it("puts escape sequences into what a training says", () => {
    const printed = layerwise("train", "net.nn.ts", "--out", "trained", "--no-progress");
    expect(printed.code).toBe(0);
    expectPlain(printed);
  });

  it("puts escape sequences into the names of classes and metrics that are evaluated", () => {
    const printed = layerwise("evaluate", "net.nn.ts", "--checkpoint", weights, "--out", "evaluated");
    expect(printed.out).toContain("precision");
    expectPlain(printed);
  });

  it("puts escape sequences into the names of classes that are predicted", () => {
    for (const args of [[], ["--json"]]) {
      const printed = layerwise("predict", "net.nn.ts", ...sampled, ...args);
      expect(printed.code).toBe(0);
      expectPlain(printed);
    }
  });

  it.skipIf(!hasTerminal)("does the same where the terminal shows colours and bars", () => {
    for (const args of [
      ["runs"],
      ["inspect", "evil.safetensors"],
      ["print", "throws.nn.ts"],
      ["train", "net.nn.ts", "--out", "on-terminal"],
    ]) {
      const printed = onTerminal(...args);
      expect(printed.out).toContain("\\x1b[2J");
      expectPlain(printed);
    }
  });

  it("prints colours from the user's own program, which may do that while it runs", () => {
    fs.writeFileSync(
      path.join(folder, "prints.nn.ts"),
      `console.log("\\u001b[32mgreen\\u001b[39m 名前 é 👩‍💻");`,
    );
    expect(layerwise("run", "prints.nn.ts").out).toBe("\u001b[32mgreen\u001b[39m 名前 é 👩‍💻\n");
  });
});
