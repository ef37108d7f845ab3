// Sends a program to another machine and starts it.
import fs from "node:fs";
import path from "node:path";
import type { RunRequest } from "../../protocol/engine.ts";
import type { Machine } from "../../remote/machine.ts";
import { megabytes, projectFiles, SEND_LIMIT, type LocalFile } from "../../remote/files.ts";
import { RayMachine } from "../../remote/ray/rayMachine.ts";
import { preparePackage, sendFiles } from "../../remote/send.ts";
import type { RunDirectory } from "../reporting/runDirectory.ts";
import { sourcesOf } from "../host/runSources.ts";
import { bundleFor, ownSources } from "./bundle.ts";
import type { Places } from "./mirror.ts";
import { projectRoot } from "./projectRoot.ts";
import type { Shipment, ShipOptions, Shipped } from "./shipment.ts";
import { RAY_SEND_LIMIT, startJob } from "./startJob.ts";

/** Bytes from which sending reports progress, and the number of reports. */
const LARGE = 20e6;
const TENTHS = 10;

interface Surroundings {
  dist: string;
  signal: AbortSignal;
  say: (text: string) => void;
}

/** Names of what is sent for a run, in its folder there. */
const BUNDLE = "bundle.json";
const WEIGHTS = "start.safetensors";

/**
 * Starts a run on a machine, unless it is running already or is only to be followed.
 * @returns the project's folders, there and here
 */
export async function startThere(
  machine: Machine,
  request: RunRequest,
  directory: RunDirectory,
  { dist, signal, say }: Surroundings,
): Promise<Places> {
  // Cancelling closes the connection until the run may have started; from then on, the run itself has to be stopped.
  const cancel = (): void => machine.close();
  signal.throwIfAborted();
  signal.addEventListener("abort", cancel, { once: true });
  const { target } = machine;
  const { id, on } = directory.record;
  const { run } = on!;
  const here = projectRoot(request);
  const { value } = await machine.call("open", target.folder === undefined ? {} : { folder: target.folder });
  const folder = `${value.folder}/runs/${run}`;
  const places: Places = { here, there: `${folder}/project` };
  if (request.on?.attach === true) return places;
  const file = `${places.there}/${path.relative(here, request.file).split(path.sep).join("/")}`;
  const { bundle, text } = await bundleFor(request.file, file);
  const sources = await sourcesOf(request.file, bundle, undefined);
  directory.keepSource(request.file, sources);
  const source = sources.get(request.file) ?? "";
  const options = { signal, progress: tenths(say, target.name) };
  const { files, left } = await projectFiles({
    root: here,
    sources: ownSources(bundle, here),
    send: request.on?.send ?? [],
    limit: request.on?.sendLimit ?? (machine instanceof RayMachine ? RAY_SEND_LIMIT : SEND_LIMIT),
  });
  if (left.length > 0)
    say(
      `Not sent, since they are links or no files: ${left.slice(0, 5).join(", ")}${left.length > 5 ? ", …" : ""}.`,
    );
  const data = files.map((one) => ({ ...one, path: `project/${one.path}` }));
  const all: LocalFile[] = [
    ...data,
    {
      path: `project/${path.posix.relative(places.there, file)}`,
      from: { text: source },
      size: Buffer.byteLength(source),
    },
    { path: BUNDLE, from: { text }, size: Buffer.byteLength(text) },
  ];
  if (request.checkpoint !== undefined)
    all.push({
      path: WEIGHTS,
      from: { file: request.checkpoint },
      size: fs.statSync(request.checkpoint).size,
    });
  const shipment = { run, id, files: all, data: new Set(data), request: requestThere(request, file, folder) };
  const ship = machine instanceof RayMachine ? startJob(machine, directory.record) : startBySsh(machine);
  const sent = await ship(shipment, { ...options, dist, say });
  const what = files.length === 0 ? "the program" : `the program and ${files.length} of its files`;
  const known = sent.known > 0 ? `; ${megabytes(sent.known)} were there already` : "";
  say(`Sent ${what} to ${target.name}: ${megabytes(sent.bytes)}${known}.`);
  await sent.lay?.();
  signal.removeEventListener("abort", cancel);
  signal.throwIfAborted();
  const state = await sent.start();
  if (state === "running") say(`Run ${id} is still running on ${target.name}.`);
  return places;
}

/** By ssh: sends the files to the agent, which starts the run. */
const startBySsh =
  (machine: Machine) =>
  async ({ run, id, files, request }: Shipment, options: ShipOptions): Promise<Shipped> => {
    const prepared = await preparePackage(machine, options.dist, options);
    const sent = await sendFiles(machine, files, options);
    const lay = async (): Promise<void> =>
      void (await machine.call("layRun", { run, id, files: sent.files }));
    const start = async (): Promise<"started" | "running"> =>
      (await machine.call("start", { package: prepared.id, request })).value;
    return { ...sent, lay, start };
  };

/** The request with the paths of the other machine. */
function requestThere(request: RunRequest, file: string, folder: string): RunRequest {
  const { on: _, tensorboard: __, trial: ___, reuse: ____, forceUnlock: _____, ...rest } = request;
  return {
    ...rest,
    file,
    outlive: true,
    bundle: `${folder}/${BUNDLE}`,
    ...(request.checkpoint === undefined ? {} : { checkpoint: `${folder}/${WEIGHTS}` }),
  };
}

/** Reports the progress of a large transfer, ten times. */
function tenths(say: (text: string) => void, name: string): (sent: number, total: number) => void {
  let told = 0;
  return (sent, total) => {
    const tenth = Math.floor((TENTHS * sent) / total);
    if (total < LARGE || tenth <= told || sent === total) return;
    told = tenth;
    say(`Sending to ${name}: ${megabytes(sent)} of ${megabytes(total)}.`);
  };
}
