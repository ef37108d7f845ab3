// A run's machine may have been taken over: everything that it sends is untrusted.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import vm from "node:vm";
import * as esbuild from "esbuild";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { sshArguments } from "../../extension/remote/ssh.ts";
import { findTarget, TargetSettings } from "../../extension/remote/targets.ts";
import { frame, Peer } from "../../extension/remote/wire.ts";
import { agentCommand } from "../../extension/remote/bootstrap.ts";
import { experimentFile, readRun, useWorkspace } from "../engine/workspace.ts";
import { useFolder } from "../folders.ts";
import { safetensors } from "./hostileRun.ts";
import * as v from "valibot";

const workspace = useWorkspace();
const tools = useFolder("all");

beforeAll(async () => {
  await esbuild.build({
    entryPoints: [fileURLToPath(new URL("../cluster/remote/hostileAgent.ts", import.meta.url))],
    outfile: path.join(tools, "agent.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "silent",
  });
  fs.writeFileSync(path.join(tools, "ssh"), `#!/bin/sh\nexec ${process.execPath} ${tools}/agent.mjs\n`, {
    mode: 0o700,
  });
});

/** The environment of a command whose machine has that behaviour. */
const hostile = (behaviour: string): Record<string, string> => ({
  LAYERWISE_SSH: path.join(tools, "ssh"),
  LAYERWISE_TEST_HOSTILE: behaviour,
  LAYERWISE_CACHE: tools,
});

/** Trains on a machine with that behaviour. */
async function trained(
  behaviour: string,
  ...more: string[]
): Promise<{ code: number | null; text: string; directory: string }> {
  workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
  const { code, stdout, stderr } = await workspace.run(["train", "net.nn.ts", "--on", "box", ...more], {
    env: hostile(behaviour),
  });
  return { code, text: stdout + stderr, directory: workspace.runs()[0] ?? "" };
}

/** Weights that are sent: nothing else goes to another machine. */
const writeWeights = (): void =>
  fs.writeFileSync(workspace.file("weights.safetensors"), safetensors(["weight"], {}));

/** Files of the workspace, without those that a run has. */
const others = (): string[] =>
  fs
    .readdirSync(workspace.folder, { recursive: true, encoding: "utf8" })
    .filter(
      (name) =>
        !/^(?:\.layerwise(?:\/runs(?:\/[^/]+(?:\/(?:run\.json|metrics\.jsonl|log\.txt|source\.ts|checkpoints(?:\/final\.safetensors)?))?)?)?|net\.nn\.ts)$/.test(
          name,
        ),
    )
    .filter((name) => !/^\.layerwise$/.test(name));

describe.skipIf(process.platform === "win32")("a hostile machine", () => {
  test("can report its run's progress, but can't change local paths", async () => {
    const { code, directory, text } = await trained("good");
    expect(code, text).toBe(0);
    expect(readRun(directory)).toMatchObject({
      id: path.basename(directory),
      file: workspace.file("net.nn.ts"),
      on: { name: "box" },
      state: "finished",
    });
    expect(fs.readFileSync(path.join(directory, "checkpoints/final.safetensors"), "utf8")).toBe("hello");
    expect(text).not.toContain("\u001b");
    expect(others()).toEqual([]);
  });

  test.each([[[]], [["--checkpoint", "weights.safetensors"]]])(
    "names no file of this machine that a later command reads or sends, with %j",
    async (more) => {
      writeWeights();
      const { code, text, directory } = await trained("names", ...more);
      expect(code).toBe(1);
      expect(text).toContain("failed there");
      const { kind, settings, trial, error } = readRun(directory);
      expect({ kind, trial }).toEqual({ kind: "train", trial: undefined });
      const own = more.length === 0 ? {} : { checkpoint: workspace.file("weights.safetensors") };
      expect(settings).toEqual({ optimizer: "SGD", ...own });
      expect(error).toMatchObject({ code: "shape", stack: [], layer: { className: "Linear" } });
      expect(JSON.stringify(error)).not.toMatch(/passwd|share/);
    },
  );

  test("gets no file that isn't weights", async () => {
    workspace.write("secret.txt", "-----BEGIN OPENSSH PRIVATE KEY-----");
    const { code, text } = await trained("good", "--checkpoint", "secret.txt");
    expect(code).toBe(1);
    expect(text).toContain("secret.txt");
    expect(text).not.toContain("Sent the program");
  });

  test.each([
    ["of another form", "good", "evaluation.json has the wrong form"],
    ["too large", "huge", "evaluation.json has more than"],
    ["damaged", "hash", "a file arrived damaged"],
    ["short", "short", "is truncated"],
  ])("sends a result of an evaluation that is %s", async (_, behaviour, problem) => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
    writeWeights();
    const words = ["evaluate", "net.nn.ts", "--checkpoint", "weights.safetensors", "--on", "box"];
    const { code, stderr } = await workspace.run(words, { env: hostile(behaviour) });
    expect(code).toBe(1);
    expect(stderr).toContain(problem);
    const [directory = ""] = workspace.runs();
    expect(readRun(directory)).toMatchObject({ kind: "evaluate", state: "failed" });
    expect(fs.readdirSync(directory).filter((name) => /evaluation|report|outcomes/.test(name))).toEqual([]);
  });

  test.each([
    ["names a checkpoint outside of the run", "path"],
    ["names a checkpoint by an absolute path", "absolute"],
    ["sends a record that is none", "form"],
    ["names its run by a path", "id"],
    ["sends a row that is none", "rows"],
    ["names another file for its rows", "file"],
    ["sends an event that doesn't exist", "event"],
    ["sends a message that is longer than any may be", "length"],
    ["answers with a folder that is no absolute path", "folder"],
    ["asks for contents by what is no hash", "hashes"],
    ["sends a log without end", "flood"],
    ["sends records without end", "records"],
    ["sends progress without end", "progress"],
    ["calls this side", "calls"],
    ["prints without end before it answers", "noise"],
  ])("is left when it %s", async (_, behaviour) => {
    const { code, text } = await trained(behaviour);
    expect(code).toBe(1);
    expect(text).toMatch(/doesn't keep to the protocol|printed too much|was refused/);
    expect(others()).toEqual([]);
    expect(fs.existsSync("/tmp/escape.safetensors")).toBe(false);
  });

  test.each([
    ["is damaged", "hash", /arrived damaged/],
    ["ends before its end", "short", /is truncated/],
    ["is larger than the disk", "huge", /more than the disk here has left/],
  ])("whose checkpoint %s leaves none here", async (_, behaviour, reason) => {
    const { text, directory } = await trained(behaviour);
    expect(text).toMatch(reason);
    expect(fs.readdirSync(path.join(directory, "checkpoints"))).toEqual([]);
    expect(readRun(directory).checkpoints).toEqual([]);
  });

  test("doesn't keep a command that is interrupted before the run begins", async () => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
    const command = workspace.start(["train", "net.nn.ts", "--on", "box"], hostile("silent"));
    await command.printed("Sent the program");
    command.child.kill("SIGINT");
    expect((await command.ended).code).toBe(130);
    expect(readRun(workspace.runs()[0]!).state).toBe("stopped");
  });

  test("shows a bounded part of what it prints", async () => {
    const { code, text } = await trained("prints");
    expect(code).toBe(0);
    expect(text).toContain("more than can be shown");
    expect(text.length).toBeLessThan(70 * 2 ** 20);
    expect(text.length).toBeGreaterThan(16 * 2 ** 20);
  });

  test.each([
    ["text", "b"],
    ["hint", "at"],
    ["refusal", "file"],
  ])("prints text without control sequences: %s", async (behaviour, part) => {
    const { text } = await trained(behaviour);
    expect(text).toContain(part);
    for (const control of ["\u001b", "\u0007", "\u009b"]) expect(text).not.toContain(control);
  });
});

test("a machine that sends a message a byte at a time takes little more memory than the message", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 2 ** 20;
  };
  const input = new PassThrough();
  let read = 0;
  const peer = new Peer(input, new PassThrough(), { event: (_, data) => (read = (data as string).length) });
  const [prefix, json] = frame({ event: "said", data: "x".repeat(300_000) }, Buffer.alloc(0));
  const before = used();
  input.write(prefix!);
  // As a pipe gives them: each has memory of its own.
  for (let at = 0; at < json!.length - 1; at++) {
    input.write(Uint8Array.from(json!.subarray(at, at + 1)));
    if (at % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(used() - before).toBeLessThan(20);
  input.write(json!.subarray(-1));
  await vi.waitFor(() => expect(read).toBe(300_000));
  peer.close();
});

describe.skipIf(process.platform === "win32")("another user of the machine", () => {
  beforeAll(() =>
    esbuild.build({
      entryPoints: [fileURLToPath(new URL("../../extension/supervisor/remote/main.ts", import.meta.url))],
      outfile: path.join(tools, "own.cjs"),
      bundle: true,
      platform: "node",
      format: "cjs",
      logLevel: "silent",
    }),
  );

  /** What the agent there says of a folder that it is to put programs into. */
  async function opened(folder: string): Promise<unknown> {
    const agent = spawn(process.execPath, [path.join(tools, "own.cjs")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const peer = new Peer(agent.stdout, agent.stdin, {});
    try {
      const { value } = await peer.call("open", { folder });
      return (value as { folder: string }).folder;
    } catch (error) {
      return (error as Error).message;
    } finally {
      agent.stdin.end();
    }
  }

  test("has made the folder that programs go to, where others can write", async () => {
    const folder = workspace.file("shared");
    fs.mkdirSync(folder);
    for (const mode of [0o777, 0o1777, 0o770]) {
      fs.chmodSync(folder, mode);
      expect(await opened(folder)).toMatch(/shared on .* can be written by others/);
    }
    expect(fs.readdirSync(folder)).toEqual([]);
    fs.chmodSync(folder, 0o755);
    expect(await opened(folder)).toBe(fs.realpathSync(folder));
    fs.symlinkSync(folder, workspace.file("own-link"));
    expect(await opened(workspace.file("own-link"))).toBe(fs.realpathSync(folder));
    expect(await opened(workspace.file("new/folder"))).toMatch(/new\/folder$/);
    expect(fs.statSync(workspace.file("new/folder")).mode & 0o777).toBe(0o700);
  });

  test.skipIf(process.getuid?.() !== 0)("owns it, or has linked it to a folder of the user", async () => {
    const folder = workspace.file("own");
    fs.mkdirSync(folder);
    fs.symlinkSync(folder, workspace.file("link"));
    fs.lchownSync(workspace.file("link"), 12_345, 12_345);
    expect(await opened(workspace.file("link"))).toMatch(/is a link of another user/);
    fs.chownSync(folder, 12_345, 12_345);
    expect(await opened(folder)).toMatch(/is another user's/);
  });
});

describe("the name of a machine", () => {
  test.each([
    "-oProxyCommand=touch /tmp/owned",
    "ssh://-oProxyCommand=x",
    "ssh://-l@host",
    "me@-host",
    "-user@host",
    "host;touch x",
    "host`id`",
    "$(id)",
    "host name",
    "host\nname",
    "ho'st",
    'ho"st',
    "%h",
    "host:22:22",
    "host:0",
    "host:99999",
    "ssh://",
    "",
    "ssh://host/path",
    "http://host",
    "user:password@host",
    "ssh://[::1%eth0;x]",
  ])("is refused when it is %j", (text) => {
    expect(() => findTarget(text)).toThrow(/names no machine|runs go to ssh/);
  });

  test.each([
    ["box", ["--", "box"]],
    ["ssh://me@gpu.example.org:2222", ["-p", "2222", "-l", "me", "--", "gpu.example.org"]],
    ["me@10.0.0.7", ["-l", "me", "--", "10.0.0.7"]],
    ["ssh://[fe80::1]:22", ["-p", "22", "--", "fe80::1"]],
  ])("%s is one word after the options", (text, words) => {
    const args = sshArguments(findTarget(text), "command");
    expect(args.slice(-words.length - 1)).toEqual([...words, "command"]);
    expect(args).toContain("BatchMode=yes");
  });

  test("settings can't bring in an option or a command either", () => {
    for (const one of [
      { host: "-oProxyCommand=x" },
      { host: "box", node: "/bin/node'; touch x; '" },
      { host: "box", node: "node" },
      { host: "box", folder: "$HOME" },
    ])
      expect(() => findTarget("gpu", v.parse(v.any(), { gpu: one }) as TargetSettings)).toThrow(
        /names no machine/,
      );
  });

  test("a file's own names of objects are no targets", () => {
    expect(findTarget("constructor").host).toBe("constructor");
    expect(() => findTarget("__proto__")).not.toThrow();
  });

  test.each(["sh", "dash", "bash", "zsh", "fish", "csh"])("the command is the same words in %s", (shell) => {
    for (const network of ["shared", "own", "own-if-possible"] as const) {
      const command = agentCommand({}, network).replace("exec /bin/sh -c", "printf %s,");
      const said = spawnSync(shell, ["-c", command], { encoding: "utf8" });
      if (said.error !== undefined) return;
      const plain = spawnSync("sh", ["-c", command], { encoding: "utf8" });
      expect(said.stdout).toBe(plain.stdout);
      expect(said.stdout).toContain("layerwise,");
    }
  });
});
