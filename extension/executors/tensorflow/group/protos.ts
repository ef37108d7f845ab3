// The messages that TensorFlow's gRPC servers and their sessions are configured with, by the numbers of their fields
// (`tensorflow/core/protobuf/config.proto`, `tensorflow_server.proto`, `cluster.proto`).
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { field } from "../graph/graphDef.ts";

const JOB = "worker";

/**
 * Writes what a ConfigProto says of a group. The leader assigns the numbers of steps. A process that is filtered to its own
 * devices places its graphs there, and needs no other process to open a session.
 */
export function groupConfig(w: BinaryWriter, rank: number): void {
  w.tag(4, WireType.LengthDelimited).string(`/job:${JOB}/task:${rank}`);
  // Variables of a session are its own.
  w.tag(15, WireType.Varint).bool(true);
  field(w, 16, (experimental) =>
    experimental.tag(1, WireType.LengthDelimited).string(`/job:${JOB}/replica:0/task:0`),
  );
}

/** @param threads inside an op, and between ops; 0 for as many as there are cores */
export function serverDef(
  rank: number,
  addresses: readonly string[],
  threads: { intraOp: number; interOp: number },
): Uint8Array {
  const w = new BinaryWriter();
  field(w, 1, (cluster) =>
    field(cluster, 1, (job) => {
      job.tag(1, WireType.LengthDelimited).string(JOB);
      addresses.forEach((address, task) =>
        field(job, 2, (entry) => {
          entry.tag(1, WireType.Varint).int32(task);
          entry.tag(2, WireType.LengthDelimited).string(address);
        }),
      );
    }),
  );
  w.tag(2, WireType.LengthDelimited).string(JOB);
  w.tag(3, WireType.Varint).int32(rank);
  // The leader has to be known here: in a session's configuration alone, its first exchange never ends.
  field(w, 4, (config) => {
    if (threads.intraOp > 0) config.tag(2, WireType.Varint).int32(threads.intraOp);
    if (threads.interOp > 0) config.tag(5, WireType.Varint).int32(threads.interOp);
    groupConfig(config, rank);
  });
  w.tag(5, WireType.LengthDelimited).string("grpc");
  return w.finish();
}
