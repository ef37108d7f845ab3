// A job of Ray whose training has workers in a placement group.
import type { Target } from "../../protocol/target.ts";
import type { RayJob } from "../../remote/messages.ts";
import { HostsMachine } from "../../remote/hosts/hostsMachine.ts";
import type { Machine } from "../../remote/machine.ts";
import type { JobLog } from "../../remote/ray/jobLog.ts";
import { PlacementGroup } from "./placementGroup.ts";
import { NOTHING, EventLog, type SavedFiles, type Stop } from "./eventLog.ts";
import type { Say } from "./unpack.ts";

/** Trains to the end. The workers' lines are connections inside of the cluster. */
export async function trainInGroup(
  job: RayJob,
  group: NonNullable<RayJob["group"]>,
  log: JobLog,
  stop: Stop,
): Promise<void> {
  const say: Say = (level, text) => void log.tell("said", { level, text });
  const bundles = await PlacementGroup.create(job, group, say, stop);
  try {
    const hosts = Array.from({ length: group.workers }, () => ({ name: "a node", host: "node", workers: 1 }));
    const target: Target = { name: "the cluster", kind: "hosts", host: "node", hosts };
    const { maxRestarts } = group;
    const machine = await HostsMachine.over(
      { ...target, hosts: hosts.map((host) => ({ ...host, folder: job.folder })) },
      { maxRestarts, connect: (number) => bundles.connect(number) },
    ).finally(() => stop.throwIfWanted());
    try {
      machine.listener = ({ event, data }) => void (event === "said" ? log.tell(event, data) : undefined);
      await machine.call("open");
      stop.throwIfWanted();
      const starts = hosts.map(() => ({ request: job.request }));
      await machine.start({ run: job.run, id: job.id, begun: job.begun, starts });
      stop.by(() => void machine.call("control", { name: "stop", args: [] }).catch(() => undefined));
      await follow(machine, job, new EventLog(log, filesThere(machine)));
    } finally {
      machine.close();
    }
  } finally {
    await bundles.close();
  }
}

/** Follows the first worker from its first row to the end of all. */
async function follow(machine: Machine, { run, id }: RayJob, told: EventLog): Promise<void> {
  for (;;) {
    // Events are written in their order; the weights take a while.
    let written = Promise.resolve();
    const end = new Promise<string>((resolve, reject) => {
      machine.listener = ({ event, data, body }) => {
        written = written.then(() => told.tell(event, data, body));
        if (event === "changed" || event === "ended" || event === "failed") resolve(event);
      };
      void machine.ended.then(reject);
    });
    end.catch(() => undefined);
    await machine.call("follow", { run, id, have: NOTHING });
    await machine.call("go");
    const event = await end;
    await written;
    if (event !== "changed") return;
  }
}

/** The files of the first worker, which may be on another node. */
const filesThere = (machine: Machine): SavedFiles => ({
  record: async () => (await machine.call("record")).value,
  open: async (file) => (await machine.call("openFile", { file })).value,
  read: async (offset) => (await machine.call("readFile", { offset })).body,
});
