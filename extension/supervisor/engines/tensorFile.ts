import * as v from "valibot";
import { Hello } from "../../protocol/engine.ts";
import { OnnxFile, OnnxNodeDetails } from "../../protocol/tensors/onnxFile.ts";
import { TensorComparison, TensorFile } from "../../protocol/tensorFile.ts";
import type {
  TensorFileEngineEvents,
  TensorFileEngineMethods,
} from "../../protocol/tensors/tensorFileEngine.ts";
import { TensorStatistics, TensorValues, type TensorWindow } from "../../protocol/tensorValues.ts";
import { handshake, openChannel, type Remote } from "./channel.ts";
import { deferred } from "../../processes/deferred.ts";
import { toUserError } from "../errors.ts";
import { EngineError } from "../../protocol/errors.ts";
import { describeExit, forkEngine, type EngineOptions, type EngineProcess } from "./process.ts";

interface Connection {
  engine: EngineProcess;
  remote: Remote<TensorFileEngineMethods>;
}

/** Reads one file of tensors in a process of its own, which lives while it is needed. */
export class TensorFileReader {
  readonly #file: string;
  readonly #options: () => EngineOptions;
  readonly #onProgress: (share: number) => void;
  #connection: Promise<Connection> | undefined;

  /** @param onProgress Share done of the current call, 0 to 1; about ten times a second */
  constructor(file: string, options: () => EngineOptions, onProgress: (share: number) => void) {
    this.#file = file;
    this.#options = options;
    this.#onProgress = onProgress;
  }

  /** The current content of the file. @throws EngineError "file" saying what is wrong with it */
  async open(): Promise<TensorFile> {
    return v.parse(TensorFile, await this.#call((remote) => remote.open(this.#file)));
  }

  /** The current content of an ONNX model. @throws EngineError "file" */
  async openModel(): Promise<OnnxFile> {
    return v.parse(OnnxFile, await this.#call((remote) => remote.openModel(this.#file)));
  }

  /** Details of a node for the diagram, by its box's id; undefined for other boxes. */
  async node(id: string): Promise<OnnxNodeDetails | undefined> {
    return v.parse(v.optional(OnnxNodeDetails), await this.#call((remote) => remote.node(this.#file, id)));
  }

  /** Statistics of a tensor by its place in the file; undefined for types that are no real numbers. */
  async statistics(index: number): Promise<TensorStatistics | undefined> {
    const answer = await this.#call((remote) => remote.statistics(this.#file, index));
    return v.parse(v.optional(TensorStatistics), answer);
  }

  async window(index: number, window: TensorWindow): Promise<TensorValues> {
    return v.parse(TensorValues, await this.#call((remote) => remote.window(this.#file, index, window)));
  }

  async compare(other: string): Promise<TensorComparison> {
    return v.parse(TensorComparison, await this.#call((remote) => remote.compare(this.#file, other)));
  }

  /** Cancels the current call, which fails with the code "cancelled". */
  async cancel(): Promise<void> {
    if (this.#connection !== undefined) await (await this.#connection).remote.cancel();
  }

  /** Ends the process, whatever it does; the next call starts another. */
  async release(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    const open = await connection?.catch(() => undefined);
    await open?.engine.kill();
  }

  async #call<T>(ask: (remote: Remote<TensorFileEngineMethods>) => Promise<T>): Promise<T> {
    const connection = (this.#connection ??= this.#connect());
    let open: Connection;
    try {
      open = await connection;
    } catch (error) {
      if (this.#connection === connection) this.#connection = undefined;
      throw error;
    }
    try {
      return await ask(open.remote);
    } catch (error) {
      if (toUserError(error).code !== "ended") throw error;
      const released = this.#connection !== connection;
      if (!released) this.#connection = undefined;
      const why = released ? "it is not needed any more" : describeExit(await open.engine.exited);
      throw new EngineError({
        code: released ? "cancelled" : "killed",
        message: `The process that reads the file ended: ${why}.`,
      });
    }
  }

  async #connect(): Promise<Connection> {
    const options = this.#options();
    const engine = await forkEngine({ ...options, entry: "tensorFileEngine.js" });
    const said = deferred<Hello>();
    const remote = openChannel<TensorFileEngineMethods, TensorFileEngineEvents>(engine.child, {
      schemas: { hello: v.strictTuple([Hello]), progress: v.strictTuple([v.number()]) },
      handlers: { hello: (answer) => said.resolve(answer), progress: (share) => this.#onProgress(share) },
      // Invalid events are ignored: if a file makes its reader send nonsense, the answer fails its schema.
      onInvalid: () => undefined,
    });
    await handshake(engine, said.promise, "tensorFile", options.helloTimeout ?? 20_000);
    return { engine, remote };
  }
}
