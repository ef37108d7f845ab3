// The process that keeps a run on its machine: it starts the run engine, holds the channel to it, and forwards the controls
// of each connection.
import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import * as v from "valibot";
import { makeFolder } from "../../files/folders.ts";
import { checkedJson } from "../../files/json.ts";
import { readRegular } from "../../files/regular.ts";
import { RECORD_LIMIT } from "../../files/runFiles.ts";
import { writeAtomicAsync } from "../../files/writeAtomic.ts";
import { RUN_CONTROLS, type ControlName } from "../../protocol/controls.ts";
import { RunRequest } from "../../protocol/engine.ts";
import { EngineError, UserError } from "../../protocol/errors.ts";
import { Peer } from "../../remote/wire.ts";
import { spawnRun } from "../runs/run.ts";

/** Files of a run's folder there. The socket is named relative to it: its path may be longer than a socket's can be. */
export const JOB_FILE = "job.json";
export const OUTCOME_FILE = "outcome.json";
export const SOCKET_FILE = "control.sock";
export const KEEPER_LOG = "keeper.txt";
/** The folder of the program's files. */
export const PROJECT_FOLDER = "project";

export const Job = v.object({ request: RunRequest, dist: v.string() });
export type Job = v.InferOutput<typeof Job>;

/** How a run has ended, for runs without a record. */
export const Outcome = v.object({ error: v.optional(UserError) });

export const ControlCall = v.object({ name: v.string(), args: v.array(v.unknown()) });

/** Keeps the run of the current folder until it ends. */
export async function keep(): Promise<void> {
  const { request, dist } = checkedJson(JOB_FILE, await readRegular(JOB_FILE, { limit: RECORD_LIMIT }), Job);
  const lines = new Set<Peer>();
  const tell = (event: string, data: unknown): void => {
    for (const line of lines) void line.tell(event, data);
  };
  await makeFolder(dirname(request.directory));
  // As on the user's machine, the program's working folder is the project's.
  const folder = process.cwd();
  const server = createServer((socket) => serve(socket));
  rmSync(SOCKET_FILE, { force: true });
  server.listen(SOCKET_FILE);
  process.chdir(PROJECT_FOLDER);
  const handle = spawnRun(
    request,
    {
      log: (level, text) => tell("said", { level, text }),
      progress: (progress) => tell("progress", progress),
      output: (stream, text) => tell("said", { level: stream === "stdout" ? "info" : "warning", text }),
    },
    { dist },
  );
  const serve = (socket: Socket): void => {
    const line: Peer = new Peer(socket, socket, {
      answer: async (_, params) => {
        const { name, args } = v.parse(ControlCall, params);
        if (!Object.hasOwn(RUN_CONTROLS, name))
          throw new EngineError({ code: "internal", message: `internal: there is no control ${name}` });
        const control = handle.control[name as ControlName] as (...args: unknown[]) => Promise<unknown>;
        return { value: await control(...args) };
      },
      closed: () => {
        lines.delete(line);
        socket.destroy();
      },
    });
    lines.add(line);
  };
  // A lost connection must not end the run.
  process.on("SIGHUP", () => undefined);
  // Ray sends this signal to all processes of a job. The run saves its state and ends.
  process.on("SIGTERM", () => void handle.stop());
  const { error } = await handle.ended;
  process.chdir(folder);
  await writeAtomicAsync(OUTCOME_FILE, [Buffer.from(JSON.stringify(error === undefined ? {} : { error }))]);
  server.close();
  rmSync(SOCKET_FILE, { force: true });
  process.exit(0);
}
