// Options and commands for other machines.
import { InvalidArgumentError, type Command } from "commander";
import { EngineError } from "../../protocol/errors.ts";
import { MOST_WORKERS, type RunOn, type Target } from "../../protocol/target.ts";
import { SshMachine } from "../../remote/sshMachine.ts";
import { preparePackage } from "../../remote/send.ts";
import { findHosts } from "../../remote/hosts/hostNames.ts";
import { findTarget, readTargets } from "../../remote/targets.ts";
import { engineOptions, UsageError } from "../command.ts";
import { CliError, EXIT, interruptSignal } from "../exit.ts";
import { print, printStderr } from "../output.ts";

export interface RemoteOptions {
  on?: string;
  hosts?: string;
  workers?: number;
  maxRestarts?: number;
  openNetwork?: true;
  send?: string[];
  sendLimit?: number;
  detach?: true;
}

export function onOption(command: Command): void {
  command.option(
    "--on <machine>",
    "run on another machine: ssh://[user@]host[:port], a name of ~/.ssh/config, ray://host[:port], or one of your targets",
  );
}

export function sendOptions(command: Command): void {
  command
    .option(
      "--send <path>",
      "with --on: a file or folder to send that the program doesn't name; may be repeated",
      (path: string, before: string[] | undefined) => [...(before ?? []), path],
    )
    .option(
      "--send-limit <megabytes>",
      "with --on: most that is sent of the project's files (default: 1074)",
      megabytes,
    );
}

export function detachOption(command: Command): void {
  command.option("--detach", "with --on: start the run and leave it; layerwise attach follows it");
}

function megabytes(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError("Not a number of megabytes.");
  return value * 1e6;
}

/** The machine that a command line names. @throws EngineError for an unknown one */
export async function namedTarget(name: string): Promise<Target> {
  return findTarget(name, await readTargets());
}

/** Fields of a command line for the additional files to send. */
export const sentOf = ({ send, sendLimit }: RemoteOptions): Pick<RunOn, "send" | "sendLimit"> => ({
  ...(send === undefined ? {} : { send }),
  ...(sendLimit === undefined ? {} : { sendLimit }),
});

/** The fields of a request for a run on another machine; undefined for a local run. */
export async function remoteOf(options: RemoteOptions): Promise<RunOn | undefined> {
  const { on, hosts } = options;
  if (on === undefined && hosts === undefined) return undefined;
  const target = hosts === undefined ? await namedTarget(on!) : findHosts(hosts, await readTargets());
  return {
    target: options.workers === undefined ? target : inGroup(target, options.workers, options),
    ...(hosts === undefined && options.workers === undefined ? {} : groupOf(options)),
    ...sentOf(options),
  };
}

/** A cluster with workers of one training. @throws UsageError if their risk isn't accepted, or they are no group */
function inGroup(target: Target, workers: number, { openNetwork }: RemoteOptions): Target {
  if (target.kind !== "ray")
    throw new UsageError("--workers trains on this machine, or on a Ray cluster. By ssh: --hosts NAME:2.");
  if (workers === 1) return target;
  if (openNetwork !== true)
    throw new UsageError(
      `Workers on ${target.name} exchange gradients over the cluster's network, through TensorFlow's servers, which listen on all interfaces of their nodes without a password or encryption: anyone who reaches them can run code there. If a firewall or a private network protects the nodes, add --open-network.`,
    );
  if (workers > MOST_WORKERS) throw new UsageError(`--workers: at most ${MOST_WORKERS} on a cluster.`);
  return { ...target, workers };
}

/** The fields for workers on several hosts. */
export const groupOf = ({ maxRestarts, openNetwork }: RemoteOptions): RunOn => ({
  ...(maxRestarts === undefined ? {} : { maxRestarts }),
  ...(openNetwork === undefined ? {} : { openNetwork }),
});

/** Runs a command of the native engine on another machine. */
export async function engineThere(
  name: string,
  command: "install" | "install --gpu" | "status",
): Promise<void> {
  const signal = interruptSignal();
  const target = await namedTarget(name).catch(fail);
  if (target.kind === "ray")
    throw new CliError(
      `${target.name} is a Ray cluster: each run installs the native engine on its node, unless it is there.`,
      EXIT.usage,
    );
  const { dist } = engineOptions();
  const machine = await SshMachine.connect(target, dist, signal).catch(fail);
  signal.addEventListener("abort", () => machine.close(), { once: true });
  try {
    const { id } = await preparePackage(machine, dist, {
      signal,
      progress: () => undefined,
      say: printStderr,
    });
    machine.listener = (heard) => {
      if (heard.event === "line") print(heard.data);
    };
    const { value: code } = await machine.call("engine", { package: id, args: command });
    if (code !== 0) throw new CliError("", EXIT.failure);
  } catch (error) {
    if (signal.aborted) throw new CliError("Cancelled.", EXIT.interrupted);
    if (error instanceof CliError) throw error;
    fail(error);
  } finally {
    machine.close();
  }
}

function fail(error: unknown): never {
  if (!(error instanceof EngineError)) throw error;
  const { message, hint } = error.cause;
  throw new CliError(hint === undefined ? message : `${message}\n${hint}`);
}
