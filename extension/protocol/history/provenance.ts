import * as v from "valibot";

/**
 * In a run directory: how a run came about, written once when it begins. Environment variables and arguments of the
 * process are not in it: they may be secret.
 */
export const PROVENANCE_FILE = "provenance.json";
/** Most bytes of that file. */
export const PROVENANCE_LIMIT = 2 * 2 ** 20;
/** Most characters of the patch in it, and of the printed model. */
export const PATCH_LIMIT = 500_000;
export const MODEL_LIMIT = 200_000;
export const COMMAND_LIMIT = 10_000;

const Line = v.pipe(v.string(), v.maxLength(2000));

export const Provenance = v.object({
  version: v.literal(1),
  /** A command line that trains the same again; with a comment if it began with another version of its file. */
  command: v.pipe(v.string(), v.maxLength(COMMAND_LIMIT)),
  /** Undefined outside of a repository, or without git. */
  git: v.optional(
    v.object({
      commit: v.pipe(v.string(), v.regex(/^[0-9a-f]{40,64}$/)),
      /** Changes since the commit in the run's file and its imports, as a patch; "" if there are none. */
      patch: v.pipe(v.string(), v.maxLength(PATCH_LIMIT)),
      /** Files whose changes are too large for the patch, or that the commit does not have. */
      omitted: v.optional(v.array(Line)),
    }),
  ),
  /** Of Layerwise, Node and the backend, by name. */
  versions: v.record(v.string(), Line),
  machine: v.object({ system: Line, processor: Line, cores: v.number(), memory: v.number() }),
  /** The printed model. */
  model: v.optional(v.pipe(v.string(), v.maxLength(MODEL_LIMIT))),
});
export type Provenance = v.InferOutput<typeof Provenance>;
