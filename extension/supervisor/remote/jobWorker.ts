// Serves a job of Ray on one of its nodes: an agent that connects to the job, since it can be anywhere in the cluster.
import { connect } from "node:net";
import { resolve } from "node:path";
import * as v from "valibot";
import { JOB_VARIABLE, RayJob } from "../../remote/messages.ts";
import { Agent } from "./agent.ts";
import { prepareEngine, unpack } from "./unpack.ts";

/** The environment variable that says where the job is, and which of its workers this one is. */
export const JOIN_VARIABLE = "LAYERWISE_JOIN";

export const Join = v.object({
  host: v.string(),
  port: v.number(),
  /** The first line of the connection: a secret of the job, and the worker's number. */
  hello: v.string(),
});
export type Join = v.InferOutput<typeof Join>;

export async function serveJob(): Promise<void> {
  const take = (name: string): unknown => {
    const text = process.env[name] ?? "";
    Reflect.deleteProperty(process.env, name);
    return JSON.parse(text);
  };
  const job = v.parse(RayJob, take(JOB_VARIABLE));
  const { host, port, hello } = v.parse(Join, take(JOIN_VARIABLE));
  // Ray unpacks Layerwise itself into the working folder.
  const dist = resolve("dist");
  await unpack(job);
  const socket = connect({ host, port, noDelay: true });
  await new Promise((settle, fail) => {
    socket.once("connect", settle);
    socket.once("error", fail);
  });
  socket.write(`${hello}\n`);
  void new Agent({
    input: socket,
    output: socket,
    dist,
    // That of the way to the job: other nodes reach it there.
    ...(socket.localAddress === undefined ? {} : { address: socket.localAddress.replace(/^::ffff:/, "") }),
    prepare: (say) => prepareEngine(job, dist, say),
  });
  // Ray's process that has started this one has ended, even by a kill.
  process.stdin.once("end", () => socket.destroy());
  process.stdin.once("error", () => socket.destroy());
  process.stdin.resume();
}
