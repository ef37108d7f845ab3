import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { agentCommand } from "../../../extension/remote/bootstrap.ts";
import { Exchange, type HostLine } from "../../../extension/remote/hosts/exchange.ts";
import { findHosts } from "../../../extension/remote/hosts/hostNames.ts";
import { NO_NAMESPACE, type Tunnel } from "../../../extension/remote/messages.ts";
import { SshMachine } from "../../../extension/remote/sshMachine.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

describe("the hosts of a command line", () => {
  const found = (text: string): string[] =>
    findHosts(text, {
      big: { host: "me@big.example.org", folder: "/scratch" },
      cluster: "ray://head",
    }).hosts!.map(({ host, user, port, folder, workers }) => [user, host, port, folder, workers].join(" "));

  test.each([
    ["a,b", [" a   1", " b   1"]],
    ["a:2, b", [" a   2", " b   1"]],
    ["a,a,b:3", [" a   2", " b   3"]],
    ["me@a,ssh://me@b:2222", ["me a   1", "me b 2222  1"]],
    ["ssh://b:2222:4", [" b 2222  4"]],
    ["big,localhost", ["me big.example.org  /scratch 1", " localhost   1"]],
    ["[fe80::1],ssh://[fe80::2]:22:2", [" fe80::1   1", " fe80::2 22  2"]],
  ])("%s", (text, hosts) => {
    expect(found(text)).toEqual(hosts);
  });

  test.each([
    ["a", /one worker is no group; --on a/],
    ["a:1", /one worker is no group/],
    ["a:0,b", /it would have 0 workers/],
    ["me@a:2222,b", /it would have 2222 workers; a port needs a URL, ssh:\/\/me@a:2222/],
    ["a:40,b:40", /these are 80 workers, and 64 are possible/],
    ["a,", /names no machine/],
    ["a,-oProxyCommand=x", /names no machine/],
    ["a,ray://head", /is a Ray cluster/],
    ["a,cluster", /is a Ray cluster/],
  ])("%s is refused", (text, message) => {
    expect(() => found(text)).toThrow(message);
  });
});

describe("connections between hosts", () => {
  /** Hosts with one worker each, and what each was sent. */
  function hosts(count: number): {
    lines: HostLine[];
    sent: unknown[][];
    refused: string[];
    waiting: number[];
  } {
    const sent: unknown[][] = Array.from({ length: count }, () => []);
    const refused: string[] = [];
    const waiting = sent.map(() => 0);
    const lines = sent.map((into, rank) => ({
      ranks: [rank],
      machine: {
        get waiting() {
          return waiting[rank]!;
        },
        tell: async (event: string, data: unknown, body?: Buffer) => {
          into.push([event, data, body?.toString() ?? ""]);
          return Promise.resolve();
        },
        refuse: (problem: string) => refused.push(problem),
      } as unknown as HostLine["machine"],
    }));
    return { lines, sent, refused, waiting };
  }

  const pass = (exchange: Exchange, line: HostLine, part: Tunnel, text = ""): void =>
    exchange.pass(line, part, Buffer.from(text));

  test("carry bytes both ways until both ends are closed", () => {
    const { lines, sent } = hosts(3);
    const exchange = new Exchange(lines);
    pass(exchange, lines[0]!, { stream: "0.1", to: 2 });
    pass(exchange, lines[0]!, { stream: "0.1" }, "ping");
    pass(exchange, lines[2]!, { stream: "0.1" }, "pong");
    pass(exchange, lines[2]!, { stream: "0.1", done: true });
    pass(exchange, lines[2]!, { stream: "0.1" }, "after its end");
    pass(exchange, lines[0]!, { stream: "0.1", done: true });
    pass(exchange, lines[0]!, { stream: "0.1" }, "after both ends");
    expect(sent).toEqual([
      [
        ["tunnel", { stream: "0.1" }, "pong"],
        ["tunnel", { stream: "0.1", done: true }, ""],
      ],
      [],
      [
        ["tunnel", { stream: "0.1", to: 2 }, ""],
        ["tunnel", { stream: "0.1" }, "ping"],
        ["tunnel", { stream: "0.1", done: true }, ""],
      ],
    ]);
  });

  test("are those of a host alone: another can't write to them, take their names, or connect to itself", () => {
    const { lines, sent } = hosts(3);
    const exchange = new Exchange(lines);
    pass(exchange, lines[0]!, { stream: "0.1", to: 1 });
    pass(exchange, lines[2]!, { stream: "0.1" }, "forged");
    pass(exchange, lines[2]!, { stream: "0.1", done: true });
    pass(exchange, lines[2]!, { stream: "0.2", to: 1 }, "another's name");
    pass(exchange, lines[0]!, { stream: "0.1", to: 2 }, "the same name");
    pass(exchange, lines[2]!, { stream: "2.1", to: 2 }, "itself");
    pass(exchange, lines[2]!, { stream: "2.2", to: 63 }, "a rank that isn't there");
    expect(sent).toEqual([[], [["tunnel", { stream: "0.1", to: 1 }, ""]], []]);
  });

  test("are announced once, by the host that has the worker", () => {
    const { lines, sent } = hosts(2);
    const exchange = new Exchange(lines);
    exchange.listening(lines[0]!, 1);
    expect(sent).toEqual([[], []]);
    exchange.listening(lines[1]!, 1);
    exchange.listening(lines[1]!, 1);
    expect(sent).toEqual([[["listening", 1, ""]], []]);
  });

  test("of a host that sends more than the other takes end", () => {
    const { lines, sent, refused, waiting } = hosts(2);
    const exchange = new Exchange(lines);
    pass(exchange, lines[0]!, { stream: "0.1", to: 1 });
    waiting[1] = 2 ** 30;
    pass(exchange, lines[0]!, { stream: "0.1" }, "more");
    expect(refused).toHaveLength(1);
    expect(sent[1]).toHaveLength(1);
  });
});

describe.skipIf(process.platform === "win32")("a host without network namespaces", () => {
  const env = { PATH: "/nowhere" };
  const command = (network: "own" | "own-if-possible"): string =>
    agentCommand({ node: process.execPath }, network);

  test("starts no agent, unless its network may be open", () => {
    const closed = spawnSync("/bin/sh", ["-c", command("own")], { env, input: "" });
    expect(closed.status).toBe(NO_NAMESPACE);
    const open = spawnSync("/bin/sh", ["-c", command("own-if-possible")], {
      env,
      input: "",
      encoding: "utf8",
    });
    expect(open.stdout).toContain("layerwise-agent");
  });

  test("is refused with the risk and the option", async () => {
    const ssh = path.join(folder, "ssh");
    fs.writeFileSync(ssh, `#!/bin/sh\nexit ${NO_NAMESPACE}\n`, { mode: 0o700 });
    fs.writeFileSync(path.join(folder, "remoteAgent.cjs"), "");
    vi.stubEnv("LAYERWISE_SSH", ssh);
    try {
      const connecting = SshMachine.connect({ name: "mac", host: "mac" }, folder, undefined, {
        network: "own",
      });
      await expect(connecting).rejects.toMatchObject({
        cause: { hint: expect.stringMatching(/run code there as you.*--open-network/) as string },
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
