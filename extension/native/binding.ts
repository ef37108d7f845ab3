/**
 * The C++ binding of `@tensorflow/tfjs-node` as it behaves, read from its sources and tried on TensorFlow 2.21. Layerwise
 * calls it directly: tfjs-node's own JavaScript would cost 300 ms at start and is not needed. What binding.cc adds to it is
 * said below.
 *
 * All calls are synchronous and throw an `Error` whose message is TensorFlow's (at most 499 characters, prefixed with
 * `Invalid TF_Status: <code>\nMessage: ` by `executeOp`). Its properties are read-only
 * and not enumerable.
 */
export interface NativeBinding {
  /**
   * Makes a tensor and returns its id.
   *
   * Aliasing: when the data start at a multiple of 64 bytes the tensor *shares* the array's memory (and keeps the array
   * alive); otherwise TensorFlow copies at once. JavaScript can't ask for either, so never write to an array after
   * handing it over, and never let a variable take such a tensor without a DeepCopy: the memory would be released on
   * one of TensorFlow's threads.
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

  /** Forgets an id. Memory goes when nothing else (a graph's variable, a running call) uses it. Throws on unknown ids. */
  deleteTensor(id: number): void;

  /**
   * A copy of the tensor's values: Float32Array (complex64: pairs), Int32Array, BigInt64Array for `TF_INT64`, Uint8Array
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
   * Opens `<directory>/saved_model.pb` as a session of its own and returns its id. `tags` are comma-separated. The graph
   * is read into memory: the folder may be deleted afterwards.
   */
  loadSavedModel(directory: string, tags: string): number;

  /** Closes the session and releases its variables. */
  deleteSavedModel(session: number): void;

  /**
   * One session call. `feeds` and `fetches` are comma-separated `node:output` names, feeds in the order of `inputs`; a
   * name can't hold a comma. Executors are cached by the two lists as they are spelled. The outputs' ids belong to the
   * caller; inputs stay the caller's too. A failed call leaks its inputs' references, so it is no means of control.
   */
  runSavedModel(session: number, inputs: readonly number[], feeds: string, fetches: string): TensorInfo[];

  /**
   * Added by binding.cc: a session as {@link loadSavedModel} opens one, of a GraphDef in memory.
   * @param config a ConfigProto
   */
  openGraph(graph: Uint8Array, config: Uint8Array): number;

  /**
   * Added by binding.cc: as {@link runSavedModel}, but answers ids alone, and a failed call leaks nothing.
   * @param alone on this thread, instead of on TensorFlow's: without handing over and waking up, which takes 0.1 ms, but one
   * op after the other
   */
  runGraph(
    session: number,
    inputs: readonly number[],
    feeds: string,
    fetches: string,
    alone: boolean,
  ): number[];

  /**
   * Added by binding.cc: starts what {@link runGraph} does on a thread of its own, and answers at once. The inputs may be
   * deleted meanwhile, but the session may not: nothing else is to be asked of it before {@link finishGraph}. A process that
   * exits waits for it.
   */
  startGraph(
    session: number,
    inputs: readonly number[],
    feeds: string,
    fetches: string,
    alone: boolean,
  ): number;

  /** Waits for a call that was started, once. The outputs' ids belong to the caller. Throws what the call failed with. */
  finishGraph(call: number): FinishedCall;

  /** Ids not yet deleted. */
  getNumOfTensors(): number;
  /** Sessions not yet deleted. */
  getNumOfSavedModels(): number;
  isUsingGpuDevice(): boolean;

  /** Such as "2.21.0". */
  readonly TF_Version: string;
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
  /** How long it ran. */
  readonly milliseconds: number;
}

export interface OpAttribute {
  readonly name: string;
  /** One of {@link TF}'s `TF_ATTR_*`. */
  readonly type: number;
  /**
   * Lists exist for int (each within 32 bits), float and bool; a string may be any text. Lists of types, shapes or
   * strings, and functions, can't be given. A shape is a list of sizes, -1 for an unknown one.
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
