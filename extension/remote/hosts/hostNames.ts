// The hosts of a training by several machines, as a command line names them.
import { clipped } from "../../protocol/text/clip.ts";
import { EngineError } from "../../protocol/errors.ts";
import { MOST_WORKERS, type Target, type WorkerHost } from "../../protocol/target.ts";
import { findTarget, type TargetSettings } from "../targets.ts";

/** Most characters of the hosts' names together. */
const LONGEST = 200;

/**
 * Finds the hosts of a list such as `gpu1,gpu2:2,ssh://me@gpu3:2222`: "name:N" has N workers, as for mpirun; only a URL has a
 * port, and may have ":N" after it. A host that is named twice has the workers of both.
 * @throws EngineError "target" for an invalid one
 */
export function findHosts(text: string, settings: TargetSettings = {}): Target {
  const hosts = new Map<string, WorkerHost>();
  for (const part of text.split(",").map((one) => one.trim())) {
    const { name, workers } = split(part);
    const { kind, cpus: _, gpus: __, hosts: ___, ...target } = findTarget(name, settings);
    if (kind !== undefined)
      throw refuse(text, `${name} is a Ray cluster; --on ${name} --workers N trains there`);
    const known = hosts.get(target.name);
    hosts.set(target.name, { ...target, workers: workers + (known?.workers ?? 0) });
  }
  const all = [...hosts.values()];
  const total = all.reduce((sum, { workers }) => sum + workers, 0);
  if (total < 2) throw refuse(text, `one worker is no group; --on ${all[0]!.name} trains there`);
  if (total > MOST_WORKERS)
    throw refuse(text, `these are ${total} workers, and ${MOST_WORKERS} are possible`);
  const name = all.map((host) => host.name).join(", ");
  const { workers: _, ...first } = all[0]!;
  return {
    ...first,
    name: clipped(name, LONGEST),
    kind: "hosts",
    hosts: all,
  };
}

function split(part: string): { name: string; workers: number } {
  const url = part.includes("://");
  const [, name = part, count] = (url ? /^(.*:\d+):(\d+)$/ : /^([^:]*):(\d+)$/).exec(part) ?? [];
  if (count === undefined) return { name, workers: 1 };
  const workers = Number(count);
  if (workers < 1 || workers > MOST_WORKERS)
    throw refuse(part, `it would have ${count} workers; a port needs a URL, ssh://${name}:${count}`);
  return { name, workers };
}

const refuse = (text: string, problem: string): EngineError =>
  new EngineError({
    code: "target",
    message: `--hosts ${JSON.stringify(text)}: ${problem}.`,
    hint: "Hosts are ssh://[user@]host[:port], names of ~/.ssh/config, localhost, or your targets; name:2 has two workers.",
  });
