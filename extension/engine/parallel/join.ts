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

/** @throws EngineError in a worker whose file differs from the first one's */
export function checkSources(team: Team, bundle: Bundle): void {
  const own = hashOfCode(bundle);
  if (team.text(own) === own) return;
  throw new EngineError({
    code: "workers",
    message: `The file of worker ${team.rank} differs from that of worker 0.`,
  });
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
