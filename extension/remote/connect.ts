import type { Target } from "../protocol/target.ts";
import type { Machine } from "./machine.ts";
import { HostsMachine } from "./hosts/hostsMachine.ts";
import { addressOf } from "./ray/jobs.ts";
import { RayMachine } from "./ray/rayMachine.ts";
import { SshMachine } from "./sshMachine.ts";

export interface ConnectOptions {
  /** The folder of this version's programs. */
  dist: string;
  /** Of Ray clusters, by their addresses; by default RAY_AUTH_TOKEN of the environment, as for Ray's own programs. */
  tokens?: Readonly<Record<string, string>> | undefined;
  /** Of workers on several hosts. */
  maxRestarts?: number | undefined;
  openNetwork?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Connects to a machine, by what its target says. @throws EngineError saying why that failed, and what to do */
export function connect(target: Target, options: ConnectOptions): Promise<Machine> {
  const { dist, tokens = {}, signal } = options;
  if (target.kind === undefined) return SshMachine.connect(target, dist, signal);
  if (target.kind === "hosts") return HostsMachine.connect(target, options, signal);
  const address = addressOf(target);
  const token = Object.hasOwn(tokens, address) ? tokens[address] : process.env["RAY_AUTH_TOKEN"];
  return RayMachine.connect(target, token || undefined, signal);
}
