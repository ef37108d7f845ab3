import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { NativeBinding } from "../../../native/binding.ts";
import { chosenThreads } from "../../../native/load.ts";
import { allocate, type DType, type HostArray } from "../../../tensor/core/dtype.ts";
import type { Cluster, Communicator } from "../../../tensor/distributed/communicator.ts";
import { attr } from "../../../tensor/lowering/lowering.ts";
import { allGather, allReduce } from "../../../tensor/ops/distributed/collective.ts";
import type { Op } from "../../../tensor/recording/op.ts";
import { upload } from "../../kernels/storages.ts";
import { GraphBuilder } from "../graph/graphBuilder.ts";
import { fetch, placeholder } from "../graph/graphWriter.ts";
import { hostAndPort, meet } from "./meeting.ts";
import { serverDef } from "./protos.ts";
import { openSession } from "./session.ts";

/** Where the processes of a group meet by default. */
const DEFAULT_ADDRESS = "127.0.0.1:29500";

/** Milliseconds between two attempts to reach another process. */
const PAUSE = 50;
/** Milliseconds that other processes get to start. */
const PATIENCE = 120_000;

/** A session that exchanges arrays of one size. */
interface Exchange {
  readonly session: number;
  readonly feed: string;
  readonly fetch: string;
}

/** Largest piece of an exchange. Each size needs a session, so arrays are cut into pieces of powers of 2. */
const LARGEST = 2 ** 22;

/** The processes that train one model together, by TensorFlow's collective ops over gRPC. */
export class ProcessGroup implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly timeout: number;
  /** Of the sessions that run through this process's server. */
  readonly target: string;
  readonly #binding: NativeBinding;
  readonly #exchanges = new Map<string, Exchange>();
  #key = 0;

  private constructor(binding: NativeBinding, cluster: Cluster, target: string) {
    this.#binding = binding;
    this.rank = cluster.rank;
    this.size = cluster.size;
    this.timeout = cluster.timeout;
    this.target = target;
  }

  /**
   * Starts this process's server, and waits until all other servers answer: an exchange with a missing leader blocks until the
   * process ends.
   */
  static async join(binding: NativeBinding, cluster: Cluster): Promise<ProcessGroup> {
    const threads = chosenThreads();
    const { rank: own, size, master } = cluster;
    const addresses = cluster.addresses ?? (await meet(own, size, master ?? DEFAULT_ADDRESS, PATIENCE));
    const target = binding.startServer(
      serverDef(own, addresses, {
        intraOp: Number(threads?.intraOp ?? 0),
        interOp: Number(threads?.interOp ?? 0),
      }),
    );
    const until = performance.now() + PATIENCE;
    await Promise.all(addresses.map((address, rank) => reached(address, rank, until)));
    return new ProcessGroup(binding, cluster, target);
  }

  nextKey(): number {
    return ++this.#key;
  }

  sum<T extends HostArray>(data: T): T {
    return this.#inPieces(data, 1, (piece) => this.#run(allReduce, piece));
  }

  gather<T extends HostArray>(data: T): T {
    return this.#inPieces(data, this.size, (piece) => this.#run(allGather, piece));
  }

  /** @param times how many arrays an exchange gives */
  #inPieces<T extends HostArray>(data: T, times: number, run: (piece: HostArray) => HostArray): T {
    const all = new (data.constructor as new (length: number) => T)(data.length * times);
    for (let from = 0; from < data.length;) {
      const count = Math.min(data.length - from, LARGEST);
      const room = 2 ** Math.ceil(Math.log2(count));
      const piece = allocate(dtypeOf(data), room);
      piece.set(data.subarray(from, from + count));
      const got = run(piece);
      for (let i = 0; i < times; i++)
        all.set(got.subarray(i * room, i * room + count), i * data.length + from);
      from += count;
    }
    return all;
  }

  #run(op: Op<{ size: number; key: number; timeout: number }>, data: HostArray): HostArray {
    const dtype = dtypeOf(data);
    const { session, feed, fetch } = this.#exchange(op, dtype, data.length);
    const fed = upload(this.#binding, data, [data.length], dtype);
    try {
      const [got] = this.#binding.runGraph(session, [fed], feed, fetch, false) as [number];
      const values = this.#binding.tensorDataSync(got) as HostArray;
      this.#binding.deleteTensor(got);
      return values;
    } finally {
      this.#binding.deleteTensor(fed);
    }
  }

  #exchange(op: Op<{ size: number; key: number; timeout: number }>, dtype: DType, length: number): Exchange {
    const name = `${op.name}/${dtype}/${length}`;
    const known = this.#exchanges.get(name);
    if (known !== undefined) return known;
    const b = new GraphBuilder();
    const meta = { shape: [length], dtype };
    const x = placeholder(b, "x", meta);
    const attributes = { size: this.size, key: this.nextKey(), timeout: this.timeout };
    const output = op.infer([meta], attributes);
    const outputs = [output].flat() as [typeof meta];
    const [y] = [op.tensorflow(b, [x], attributes, { inputs: [meta], outputs })].flat();
    const made = {
      feed: GraphBuilder.address(x),
      fetch: fetch(b, y!, attr.type(dtype)),
      session: openSession(this.#binding, { nodes: b.graph }, 0, this),
    };
    this.#exchanges.set(name, made);
    return made;
  }
}

const dtypeOf = (data: HostArray): DType => (data instanceof Float32Array ? "float32" : "int64");

/** Waits until a server answers. */
async function reached(address: string, rank: number, until: number): Promise<void> {
  const { host, port } = hostAndPort(address);
  for (;;) {
    if (await answers(host, port)) return;
    if (performance.now() > until)
      throw new Error(`Worker ${rank} doesn't answer at ${address} after ${PATIENCE / 1000} s.`);
    await delay(PAUSE);
  }
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 2000 });
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", done(true));
    socket.once("error", done(false));
    socket.once("timeout", done(false));
  });
}
