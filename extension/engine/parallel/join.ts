// A run joins the other workers at its start, and waits for them at its end.
import { setTimeout as delay } from "node:timers/promises";
import type { WorkerPlace } from "../../protocol/engine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { LOST_WORKER } from "../../protocol/exit.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { canJoin, joinGroup } from "../../tensor/distributed/communicator.ts";
import { hashOfCode, type Bundle } from "../host/userModule.ts";
import type { LoopControl } from "../training/control.ts";
import { Team } from "./team.ts";

export { LOST_WORKER };

/** Milliseconds that a worker waits after the last exchange: the others may still be reading from it. */
const LINGER = 300;

/** @throws EngineError "workers" if the backend has no groups, or a worker doesn't answer */
export async function joinTeam(place: WorkerPlace, control: LoopControl): Promise<Team> {
  if (!canJoin())
    throw new EngineError({
      code: "workers",
      message: "Several workers can train on the native engine only; this run computes on another backend.",
      hint: "Install the native engine with layerwise engine install, or leave out --workers.",
    });
  try {
    const team = new Team(await joinGroup(place));
    control.join(team);
    return team;
  } catch (error) {
    throw new EngineError({
      code: LOST_WORKER,
      message: error instanceof Error ? error.message : String(error),
    });
  }
}

/**
 * Checks that all workers compute the same.
 * @param engine the version of the kernels
 * @throws EngineError in a worker whose file or kernels differ from the first one's
 */
export function checkSame(team: Team, bundle: Bundle, engine: string): void {
  const own = [hashOfCode(bundle), `${engine} for ${process.platform}-${process.arch}`] as const;
  const [code, kernels] = JSON.parse(team.text(JSON.stringify(own))) as [string, string];
  const refuse = (message: string): never => {
    throw new EngineError({ code: "workers", message });
  };
  if (code !== own[0]) refuse(`The file of worker ${team.rank} differs from that of worker 0.`);
  if (kernels !== own[1])
    refuse(
      `Worker ${team.rank} computes with ${own[1]}, and worker 0 with ${kernels}: their results differ in the last digits.`,
    );
}

/** Waits for all workers, so that none ends while another still needs it. */
export async function endTogether(team: Team): Promise<void> {
  try {
    team.together();
  } catch {
    // Another worker has ended already; this one needs nothing more.
  }
  await delay(team.rank === 0 ? LINGER : 3 * LINGER);
}

/** Errors of TensorFlow in the other processes when one of a group has ended. */
const LOST =
  /Collective ops is aborted|Collective .* abort|failed to connect|Connection (?:reset|refused)|Socket closed|Broken pipe|Deadline ?Exceeded|RPC|Timed out waiting|collective .*time ?out/i;

export const isLostWorker = (error: unknown): boolean =>
  error instanceof Error && !(error instanceof TensorError) && LOST.test(error.message);
