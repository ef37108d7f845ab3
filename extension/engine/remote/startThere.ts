// Sends a program to another machine and starts it.
import fs from "node:fs";
import path from "node:path";
import { openTensors } from "../../formats/tensorSource.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import type { RunRecord } from "../../protocol/run.ts";
import type { Machine } from "../../remote/machine.ts";
import { megabytes, projectFiles, SEND_LIMIT, type LocalFile } from "../../remote/files.ts";
import { HostsMachine } from "../../remote/hosts/hostsMachine.ts";
import { RayMachine } from "../../remote/ray/rayMachine.ts";
import type { AgentAnswer } from "../../remote/messages.ts";
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

/** Packs a run for a folder there. */
type Pack = (folder: string) => Promise<Shipment>;

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
  const pack = await packer(machine, request, directory, { here, say });
  const shipment = await pack(folder);
  const options = { signal, progress: tenths(say, target.name), dist, say };
  const sent = await ship(machine, directory, shipment, pack, {
    ...options,
    maxRestarts: request.on?.maxRestarts,
  });
  const { size } = shipment.data;
  const what = size === 0 ? "the program" : `the program and ${size} of its files`;
  const known = sent.known > 0 ? `; ${megabytes(sent.known)} were there already` : "";
  say(`Sent ${what} to ${target.name}: ${megabytes(sent.bytes)}${known}.`);
  await sent.lay?.();
  signal.removeEventListener("abort", cancel);
  signal.throwIfAborted();
  const state = await sent.start();
  if (state !== "started")
    say(`Run ${id} ${state === "running" ? "is still running" : "has finished"} on ${target.name}.`);
  return places;
}

function ship(
  machine: Machine,
  directory: RunDirectory,
  shipment: Shipment,
  pack: Pack,
  { maxRestarts, ...options }: ShipOptions & { maxRestarts: number | undefined },
): Promise<Shipped> {
  if (machine instanceof RayMachine)
    return startJob(machine, directory.record, maxRestarts)(shipment, options);
  if (machine instanceof HostsMachine) return startOnHosts(machine, pack, directory.record, options);
  return startBySsh(machine, shipment, options);
}

/** Prepares what is sent. It depends on the folder of the run there. */
async function packer(
  machine: Machine,
  request: RunRequest,
  directory: RunDirectory,
  { here, say }: { here: string; say: (text: string) => void },
): Promise<Pack> {
  const { id, on } = directory.record;
  const way = path.relative(here, request.file).split(path.sep).join("/");
  const placeIn = (folder: string): string => `${folder}/project/${way}`;
  // Bundles differ by their places alone.
  const { bundle } = await bundleFor(request.file, placeIn(""));
  const sources = await sourcesOf(request.file, bundle, undefined);
  directory.keepSource(request.file, sources);
  const source = sources.get(request.file) ?? "";
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
  return async (folder) => {
    const file = placeIn(folder);
    const { text } = await bundleFor(request.file, file, bundle.hash);
    const all: LocalFile[] = [
      ...data,
      { path: `project/${way}`, from: { text: source }, size: Buffer.byteLength(source) },
      { path: BUNDLE, from: { text }, size: Buffer.byteLength(text) },
    ];
    if (request.checkpoint !== undefined) {
      // A resumed run's record names the file: nothing but weights goes to another machine.
      openTensors(request.checkpoint).close();
      all.push({
        path: WEIGHTS,
        from: { file: request.checkpoint },
        size: fs.statSync(request.checkpoint).size,
      });
    }
    const there = requestThere(request, file, folder);
    return { run: on!.run, id, files: all, data: new Set(data), request: there };
  };
}

/** By ssh: sends the files to the agent, which starts the run. */
async function startBySsh(machine: Machine, shipment: Shipment, options: ShipOptions): Promise<Shipped> {
  const { lay, package: name, ...sent } = await sendBySsh(machine, shipment, options);
  const start = async (): Promise<AgentAnswer<"start">> =>
    (await machine.call("start", { package: name, request: shipment.request })).value;
  return { ...sent, lay, start };
}

/** To several hosts: sends the files to each, and starts its workers. */
async function startOnHosts(
  group: HostsMachine,
  pack: Pack,
  { id, on, step }: RunRecord,
  options: ShipOptions,
): Promise<Shipped> {
  const { run } = on!;
  const shipments: Shipment[] = [];
  const sent: Awaited<ReturnType<typeof sendBySsh>>[] = [];
  for (const { machine, folder } of group.hosts) {
    const shipment = await pack(`${folder}/runs/${run}`);
    shipments.push(shipment);
    sent.push(await sendBySsh(machine, shipment, options));
  }
  const sum = (key: "bytes" | "known"): number => sent.reduce((all, one) => all + one[key], 0);
  const starts = shipments.map(({ request }, i) => ({ request, package: sent[i]!.package }));
  return {
    bytes: sum("bytes"),
    known: sum("known"),
    lay: async () => void (await Promise.all(sent.map(({ lay }) => lay()))),
    start: async () => {
      const begun = shipments[0]!.request.resume === true && step > 0;
      await group.start({ run, id, begun, starts });
      return "started";
    },
  };
}

async function sendBySsh(
  machine: Machine,
  { run, id, files }: Shipment,
  options: ShipOptions,
): Promise<{ bytes: number; known: number; package: string; lay: () => Promise<void> }> {
  const prepared = await preparePackage(machine, options.dist, options);
  const { files: named, bytes, known } = await sendFiles(machine, files, options);
  const lay = async (): Promise<void> => void (await machine.call("layRun", { run, id, files: named }));
  return { bytes, known, package: prepared.id, lay };
}

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
