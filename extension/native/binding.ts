/**
 * The C++ binding of `@tensorflow/tfjs-node`, documented from its sources and tests on TensorFlow 2.21. Layerwise calls it
 * directly: tfjs-node's own JavaScript would add 300 ms to the start and isn't needed. Methods that binding.cc adds are marked.
 *
 * All calls are synchronous and throw an `Error` whose message is TensorFlow's (at most 499 characters, prefixed with
 * `Invalid TF_Status: <code>\nMessage: ` by `executeOp`). Its properties are read-only
 * and not enumerable.
 */
export interface NativeBinding {
  /**
   * Creates a tensor and returns its id.
   *
   * Types that plans have (float, int32, bool) are copied, and are the binding's own: TensorFlow reads them without a copy, so never assign
   * such a tensor to a variable without a DeepCopy. The others are TensorFlow's: if the data start at a multiple of 64 bytes, the tensor
   * *shares* the array's memory (and keeps the array alive), so never write to an array after passing it here.
   *
   * - `TF_FLOAT`: Float32Array; `TF_INT32`: Int32Array; `TF_BOOL`, `TF_UINT8`: Uint8Array, as many elements as the
   *   shape has. Bool bytes other than 0 and 1 are kept as they are: write only 0 and 1.
   * - `TF_INT64`: an Int32Array of twice the elements, low word first (a BigInt64Array over the same buffer makes one);
   *   a BigInt64Array itself is refused.
   * - `TF_STRING`: an array of Uint8Array, copied.
   *
   * A scalar has shape `[]` and one element; a dimension may be 0.
   */
  createTensor(shape: readonly number[], dtype: number, data: TensorData | readonly Uint8Array[]): number;

  /** Deletes an id. Memory is freed once nothing else (a graph's variable, a running call) uses it. Throws on unknown ids. */
  deleteTensor(id: number): void;

  /**
   * Copies the tensor's values: Float32Array (complex64: pairs), Int32Array, BigInt64Array for `TF_INT64`, Uint8Array
   * for `TF_BOOL` and one-element resources, an array of Uint8Array for `TF_STRING`. Other dtypes, among them
   * `TF_UINT8`, `TF_DOUBLE` and `TF_HALF`, can't be read: cast first.
   */
  tensorDataSync(id: number): Float32Array | Int32Array | BigInt64Array | Uint8Array | Uint8Array[];

  /**
   * Runs one op eagerly. `outputs` must be the op's exact number of outputs: another number throws, and one too
   * high leaks ids. Attributes left out take the op's default;
   * type attributes are inferred from the inputs. The outputs' ids belong to the caller.
   */
  executeOp(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputs: number,
  ): TensorInfo[];

  /**
   * Opens `<directory>/saved_model.pb` as a separate session and returns its id. `tags` are comma-separated. The graph is read
   * into memory, so the folder may be deleted afterwards.
   */
  loadSavedModel(directory: string, tags: string): number;

  /** Closes the session and releases its variables. */
  deleteSavedModel(session: number): void;

  /**
   * Runs one session call. `feeds` and `fetches` are comma-separated `node:output` names, feeds in the order of `inputs`; a
   * name can't contain a comma. Executors are cached by the text of the two lists. The ids of outputs and inputs belong to the
   * caller. A failed call leaks references to its inputs, so don't rely on failing calls.
   */
  runSavedModel(session: number, inputs: readonly number[], feeds: string, fetches: string): TensorInfo[];

  /**
   * Added by binding.cc: starts a gRPC server of TensorFlow's, which lives as long as the process, and returns the target of its
   * sessions. The server listens on all network interfaces, without authentication.
   * @param definition A ServerDef
   */
  startServer(definition: Uint8Array): string;

  /**
   * Added by binding.cc: opens a session like {@link loadSavedModel}, from a GraphDef in memory.
   * @param config A ConfigProto
   * @param target Of the server that runs it; a call of such a session may wait for other processes, and an exit ends it
   */
  openGraph(graph: Uint8Array, config: Uint8Array, target?: string): number;

  /**
   * Added by binding.cc: like {@link runSavedModel}, but returns only ids, and a failed call leaks nothing.
   * @param alone Runs on this thread instead of TensorFlow's: saves 0.1 ms for waking a thread, but ops don't run in parallel
   */
  runGraph(
    session: number,
    inputs: readonly number[],
    feeds: string,
    fetches: string,
    alone: boolean,
  ): number[];

  /**
   * Added by binding.cc: starts a {@link runGraph} on a separate thread, and returns at once. The inputs may be deleted
   * meanwhile. The session may not be deleted or used before {@link finishGraph}. A process that exits waits for the call.
   * @param first A call that runs before it, whose outputs are dropped
   */
  startGraph(
    session: number,
    inputs: readonly number[],
    feeds: string,
    fetches: string,
    alone: boolean,
    first?: readonly [inputs: readonly number[], feeds: string, fetches: string],
  ): number;

  /** Waits once for a started call. The outputs' ids belong to the caller. Throws the call's error. */
  finishGraph(call: number): FinishedCall;

  /**
   * Added by binding.cc: reads a plan that kernels of the binding compute, without TensorFlow, and returns its id, or -1 for a
   * plan with something unknown.
   * @param code See planWriter.ts
   * @param threads How many may share the work of an op
   * @param costs The nanoseconds that a run takes are written here, roughly: here, then as a graph of TensorFlow's; and the bytes of
   * the plan while it is open
   */
  openPlan(code: Int32Array, threads: number, costs: Float64Array): number;

  /**
   * Added by binding.cc: runs a plan on this thread, with others for large ops. Of its outputs the first are written into `fetched`, and new tensors are made
   * of the others.
   * @param leaves Ids of tensors, or their values
   * @param made The new tensors' ids are written here
   * @returns false, with nothing written, if an input is one that TensorFlow's kernel would refuse
   */
  runPlan(
    plan: number,
    leaves: readonly (number | TensorData)[],
    fetched: readonly TensorData[],
    made: Int32Array,
  ): boolean;

  /**
   * Added by binding.cc: like {@link runPlan}, but on another thread, after the plans that were queued before. The tensors can be used at
   * once. The arrays may not be touched before the plan has ended: keep them until then.
   * @returns The run's number, which is larger by 1 each time; 0, with nothing done, where a kernel might refuse an input
   */
  queuePlan(
    plan: number,
    leaves: readonly (number | TensorData)[],
    fetched: readonly TensorData[],
    made: Int32Array,
  ): number;

  /** Added by binding.cc: waits for a queued run. @returns whether it, and all before it, succeeded: memory may be short */
  finishPlan(run: number): boolean;

  /** Added by binding.cc: how many queued runs have ended, before the first one that has failed. */
  finishedPlans(): number;

  /** Added by binding.cc. */
  closePlan(plan: number): void;

  /**
   * Added by binding.cc: draws random numbers of MT19937.
   * @param kind Position in kernels/table.h's DrawKind
   * @param words The generator's 624 words, which are replaced by the next ones as often as needed
   * @param used How many of them are used
   * @param parameters Three numbers, what they are depends on the kind
   * @returns How many words are used then
   */
  drawRandom(
    kind: number,
    words: Int32Array,
    used: number,
    out: Float32Array | Int32Array | Uint32Array,
    count: number,
    parameters: Float64Array,
  ): number;

  /** Ids not yet deleted. */
  getNumOfTensors(): number;
  /** Sessions not yet deleted. */
  getNumOfSavedModels(): number;
  isUsingGpuDevice(): boolean;

  /**
   * Added by binding.cc: loads TensorFlow, if that wasn't needed so far, and returns its version, such as "2.21.0". Functions that need
   * it load it, too: all but those of tensors and of plans.
   */
  loadTensorFlow(): string;

  /** Added by binding.cc: begins to load TensorFlow on another thread, if it isn't loaded: it will be needed soon. */
  prepareTensorFlow(): void;
}

export type TensorData = Float32Array | Int32Array | Uint8Array;

export interface TensorInfo {
  readonly id: number;
  readonly shape: number[];
  /** One of {@link TF}'s data types. */
  readonly dtype: number;
}

export interface FinishedCall {
  readonly outputs: number[];
  /** Duration of the call. */
  readonly milliseconds: number;
}

export interface OpAttribute {
  readonly name: string;
  /** One of {@link TF}'s `TF_ATTR_*`. */
  readonly type: number;
  /**
   * Lists are supported for int (each within 32 bits), float and bool; a string may be any text. Lists of types, shapes or
   * strings, and functions, are not supported. A shape is a list of sizes, -1 for an unknown one.
   */
  readonly value: boolean | number | string | readonly number[] | readonly boolean[];
}

/** TensorFlow's C enums TF_DataType and TF_AttrType, as the binding also exports them. */
export const TF = {
  TF_FLOAT: 1,
  TF_DOUBLE: 2,
  TF_INT32: 3,
  TF_UINT8: 4,
  TF_STRING: 7,
  TF_COMPLEX64: 8,
  TF_INT64: 9,
  TF_BOOL: 10,
  TF_RESOURCE: 20,
  TF_ATTR_STRING: 0,
  TF_ATTR_INT: 1,
  TF_ATTR_FLOAT: 2,
  TF_ATTR_BOOL: 3,
  TF_ATTR_TYPE: 4,
  TF_ATTR_SHAPE: 5,
} as const;
