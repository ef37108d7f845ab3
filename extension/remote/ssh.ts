// Starts the user's own ssh, in batch mode. Keys, passwords, jump hosts and known hosts are left to its configuration.
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { findExecutable } from "../processes/programs.ts";
import { signalChild } from "../processes/signals.ts";
import { EngineError } from "../protocol/errors.ts";
import { NO_AGENT, NO_NAMESPACE, NO_NODE } from "./messages.ts";
import type { Target } from "../protocol/target.ts";
import { plainLine } from "../protocol/text/plain.ts";

/** The oldest Node that runs Layerwise. */
const NODE = 20;
/** Most characters of ssh's messages that are kept. */
const TAIL = 4096;

/** The parts of a target that ssh needs. */
type Address = Pick<Target, "host" | "user" | "port">;

/** ssh gives up after this many seconds without a connection, and three times as many without an answer. */
const CONNECT = 15;
const ALIVE = 10;

const OPTIONS = [
  "BatchMode=yes",
  `ConnectTimeout=${CONNECT}`,
  `ServerAliveInterval=${ALIVE}`,
  "ServerAliveCountMax=3",
  "RequestTTY=no",
  "RemoteCommand=none",
  "ForwardAgent=no",
  "ForwardX11=no",
  "ClearAllForwardings=yes",
];

/**
 * Arguments of ssh: options, "--", the machine, a command.
 * @param compression Programs and rows shrink, gradients don't
 */
export function sshArguments(
  { host, user, port }: Address,
  command: string,
  { compression = true }: { compression?: boolean } = {},
): string[] {
  return [
    ...[...OPTIONS, `Compression=${compression ? "yes" : "no"}`].flatMap((option) => ["-o", option]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(user === undefined ? [] : ["-l", user]),
    "--",
    host,
    command,
  ];
}

/** The command with which users connect themselves. */
export const sshText = ({ host, user, port }: Address): string =>
  `ssh ${port === undefined ? "" : `-p ${port} `}${user === undefined ? "" : `${user}@`}${host}`;

/** A pair of byte streams to an agent. */
export interface Transport {
  readonly input: Readable;
  readonly output: Writable;
  /** Settles when the connection has ended, with the reason. */
  readonly ended: Promise<EngineError>;
  /** Drops what was printed so far: banners and shells' start-up files don't explain a later end. */
  forget(): void;
  /** Ends the connection. */
  end(signal: "SIGTERM" | "SIGKILL"): void;
}

/** The user's ssh, or the program that LAYERWISE_SSH names. @throws EngineError */
function sshProgram(): string {
  const named = process.env["LAYERWISE_SSH"];
  const program = findExecutable([named ?? "ssh"]);
  if (program !== undefined) return program;
  throw new EngineError({
    code: "no-ssh",
    message:
      named === undefined ? "There is no ssh on the PATH." : `LAYERWISE_SSH names no program: ${named}`,
    hint: "Install OpenSSH's client; Windows has it under Optional features.",
  });
}

/** This machine among the hosts of a training. With a user or a port, the name is one for ssh. */
export const isLocal = ({ host, user, port }: Address): boolean =>
  host === "localhost" && user === undefined && port === undefined;

export interface StartOptions {
  compression?: boolean;
  /** Starts the command without ssh. */
  local?: boolean;
}

/** Starts a command on a machine. */
export function startSsh(
  target: Target,
  command: string,
  { compression = true, local = false }: StartOptions = {},
): Transport {
  const [program, args] = local
    ? ["/bin/sh", ["-c", command]]
    : [sshProgram(), sshArguments(target, command, { compression })];
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    windowsHide: true,
    // A terminal's Ctrl-C stops the run; it must not end the connection.
    detached: process.platform !== "win32",
  });
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said = (said + bytes.toString("utf8")).slice(-TAIL)));
  child.stdin.on("error", () => undefined);
  const ended = new Promise<EngineError>((resolve) => {
    child.once("error", (error) => resolve(describeEnd(target, null, error.message)));
    child.once("exit", (code) => {
      const done = (): void => resolve(describeEnd(target, code, said));
      // A shared connection that stays open keeps the streams.
      const timer = setTimeout(done, 500);
      child.once("close", () => {
        clearTimeout(timer);
        done();
      });
    });
  });
  const forget = (): void => {
    said = "";
    // Earlier output may arrive only now.
    setImmediate(() => (said = ""));
  };
  const end = (signal: "SIGTERM" | "SIGKILL"): void => {
    child.stdin.end();
    signalChild(child, signal);
  };
  return { input: child.stdout, output: child.stdin, ended, forget, end };
}

/** Messages of ssh with their meanings; the first that matches counts. */
const MEANINGS: readonly (readonly [pattern: RegExp, code: string, message: string, hint: string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    "ssh-host-key",
    "The host key of NAME differs from the one that ssh knows.",
    "If the machine was installed again, remove the old key with ssh-keygen -R; otherwise someone may be intercepting the connection. Then connect once by hand: SSH",
  ],
  [
    /Host key verification failed|No \S+ host key is known/,
    "ssh-host-key",
    "ssh doesn't know the host key of NAME yet.",
    "Connect once by hand and compare the key: SSH",
  ],
  [
    /Permission denied|Too many authentication failures|no mutual signature/,
    "ssh-refused",
    "NAME refused the login: ssh found no key that it accepts.",
    "SSH has to work without a password: ssh-copy-id puts your key there, ssh-add unlocks one that has a passphrase.",
  ],
  [
    /Could not resolve hostname/,
    "ssh-unknown",
    "ssh finds no machine named NAME.",
    "Check the name, or give it a Host entry in ~/.ssh/config.",
  ],
  [
    /Connection refused|timed out|No route to host|Network is unreachable|Host is down|Connection closed|Connection reset|kex_exchange|Timeout, server/,
    "ssh-unreachable",
    "NAME can't be reached: SAID",
    "Check that the machine is on and accepts ssh from here: SSH",
  ],
  [
    /Bad owner or permissions|bad permissions|Bad configuration option/,
    "ssh-config",
    "ssh refuses its own configuration: SAID",
    "ssh needs files that only you can write in ~/.ssh.",
  ],
];

function describeEnd(target: Target, code: number | null, said: string): EngineError {
  const lines = said
    .split(/\r?\n/)
    .map((line) => plainLine(line.trim()))
    .filter((line) => line !== "" && !line.startsWith("@"));
  const words = { NAME: target.name, SSH: sshText(target), SAID: lines.at(-1) ?? "" };
  const fill = (text: string): string =>
    text.replaceAll(/\b(?:NAME|SSH|SAID)\b/g, (word) => words[word as keyof typeof words]);
  if (code === NO_NODE)
    return new EngineError({
      code: "remote-node",
      message: `There is no Node ${NODE} or newer on ${target.name}.`,
      hint: 'Install it there from nodejs.org or with nvm. If it is in an unusual folder, name it: "node" in the target\'s settings.',
    });
  if (code === NO_NAMESPACE)
    return new EngineError({
      code: "remote-network",
      message: `Workers on ${target.name} can't be kept from its network: it makes no network namespaces (unshare -rn).`,
      hint: "TensorFlow's servers would listen on all of its network interfaces without a password or encryption: anyone who reaches them can run code there as you. If a firewall or a private network protects it, add --open-network.",
    });
  if (code === NO_AGENT)
    return new EngineError({ code: "line", message: `The connection to ${target.name} was lost.` });
  const meaning = MEANINGS.find(([pattern]) => pattern.test(said));
  if (meaning !== undefined)
    return new EngineError({ code: meaning[1], message: fill(meaning[2]), hint: fill(meaning[3]) });
  const last = lines.slice(-3).join("\n");
  return new EngineError({
    code: "line",
    message: `The connection to ${target.name} has ended${code === null ? "" : ` (exit code ${code})`}.`,
    ...(last === "" ? {} : { hint: last }),
  });
}
