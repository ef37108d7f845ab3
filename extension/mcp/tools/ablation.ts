import * as v from "valibot";
import { EngineError } from "../../protocol/errors.ts";
import {
  LayerPart,
  MAX_RANKED,
  RankedUnit,
  UnitKind,
  type AblationScope,
  type InterventionAnswer,
  type Ranking,
  type UnitLayer,
} from "../../protocol/interventions.ts";
import { ModelSession } from "../../supervisor/engines/modelSession.ts";
import { readEvaluation } from "../../supervisor/runs/evaluationFiles.ts";
import { readRecord } from "../../supervisor/runs/runDirectory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { pageOf } from "../answers.ts";
import { Backend, Count, limit, Num, Offset, Rest, RunId } from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Call, type Tool } from "../tool.ts";

/** Layers whose units can't be changed, in an answer. */
const MOST_REFUSED = 50;

const Layer = v.object({
  layer: v.string(),
  part: LayerPart,
  call: v.optional(v.number()),
  type: v.string(),
  kind: UnitKind,
  units: v.number(),
});

export const ablateUnits = (services: Services): Tool =>
  tool({
    name: "ablate_units",
    title: "Ablate Units",
    description:
      "Which units of a layer an evaluated model depends on: each unit (of convolutions each channel, of attention each head) is switched off alone, and the units are sorted by the change of the loss, else of the predicted class's probability, else of the output. Means over one sample, up to 64 samples of a class, or up to 64 of the whole set. Without a layer it lists the layers. Takes the run id of an evaluation. Runs the file's code.",
    effect: "runs",
    input: v.strictObject({
      run: RunId,
      layer: v.pipe(
        v.optional(v.pipe(v.string(), v.maxLength(1000))),
        v.description("Path of a module, as this tool lists it without one"),
      ),
      part: v.pipe(
        v.optional(LayerPart),
        v.description("The layer's output, or the heads of its attention; default: what the layer has"),
      ),
      call: v.pipe(
        v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
        v.description("Of a module whose calls give different shapes: which call, from 1"),
      ),
      sample: v.pipe(v.optional(Count), v.description("Number of a sample of the evaluated set")),
      class: v.pipe(
        v.optional(v.pipe(v.string(), v.maxLength(200))),
        v.description("Name or index of a class: its samples, by the data"),
      ),
      mode: v.pipe(
        v.optional(v.picklist(["zero", "mean"]), "zero"),
        v.description("What a switched-off unit gives: 0, or its mean over samples of the set"),
      ),
      device: Backend,
      offset: Offset,
      limit: limit(MAX_RANKED, 20),
    }),
    output: v.object({
      layers: v.optional(v.array(Layer)),
      refused: v.optional(v.array(v.object({ layer: v.string(), reason: v.string() }))),
      ranking: v.optional(
        v.object({
          ...Layer.entries,
          ablated: v.number(),
          samples: v.number(),
          of: v.number(),
          alone: v.boolean(),
          loss: v.optional(Num),
          probability: v.optional(Num),
          ranked: v.array(
            v.object({
              unit: RankedUnit.entries.unit,
              loss: v.optional(Num),
              probability: v.optional(Num),
              output: Num,
              changed: v.optional(v.number()),
            }),
          ),
        }),
      ),
      ...Rest,
    }),
    async call(
      { run, layer, part, call: ofCall, sample, class: of, mode, device, offset, limit: most },
      call,
    ) {
      if (sample !== undefined && of !== undefined)
        throw new EngineError({ code: "usage", message: "Give a sample or a class, not both." });
      return withModel(services, { run, device }, call, async (session, classes) => {
        const scope = scopeOf(sample, of, classes);
        const subject = { kind: "sample" as const, index: sample ?? 0 };
        const listed = answered(await session.intervene({ subject, interventions: [] }));
        if (layer === undefined) {
          const { items, ...rest } = pageOf(listed.layers, offset, most);
          return { layers: items.map(layerOf), refused: listed.refused.slice(0, MOST_REFUSED), ...rest };
        }
        const heads = listed.layers.some((one) => one.layer === layer && one.part === "heads");
        const units = listed.layers.some((one) => one.layer === layer && one.part === "output");
        const at = {
          layer,
          part: part ?? (heads && !units ? ("heads" as const) : ("output" as const)),
          ...(ofCall === undefined ? {} : { call: ofCall }),
        };
        const ranking = answered(await session.rankUnits({ ...at, scope, mode }));
        const { items, ...rest } = pageOf(ranking.ranked, offset, most);
        return { ranking: rankingOf(ranking, items), ...rest };
      });
    },
  });

/** Opens an evaluation's model in a process of its own, which ends with the call. */
async function withModel<T>(
  { workspace, engine }: Services,
  { run, device }: { run: string; device: v.InferOutput<typeof Backend> },
  call: Call,
  body: (session: ModelSession, classes: readonly string[]) => Promise<T>,
): Promise<T> {
  const directory = await workspace.run(run);
  const record = await readRecord(directory);
  const { checkpoint } = record.settings;
  const { result } = await readEvaluation(directory);
  if (record.kind !== "evaluate" || result === undefined || typeof checkpoint !== "string")
    throw new EngineError({
      code: "no-evaluation",
      message: `Run ${run} has no evaluation.`,
      hint: "evaluate starts one and answers its run id; wait_for_run waits for it.",
    });
  const request = {
    // A record may come from a stranger: its paths are checked like a client's.
    file: await workspace.model(await sourceOfRun(directory, record, { folder: workspace.root })),
    exportName: record.exportName,
    device,
    checkpoint: await workspace.path(checkpoint),
    directory,
    ...(record.seed === undefined ? {} : { seed: record.seed }),
  };
  const session = new ModelSession(request, () => engine, {
    onRanking: ({ done, of }) => call.progress(done, of, `${done} of ${of} units and samples`),
  });
  const { signal } = call;
  const cancel = (): void => void session.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    signal.throwIfAborted();
    return await body(session, result.classes ?? (result.confusion ?? []).map((_, i) => String(i)));
  } finally {
    signal.removeEventListener("abort", cancel);
    await session.dispose();
  }
}

/** @throws EngineError when there is no such class */
function scopeOf(
  sample: number | undefined,
  of: string | undefined,
  classes: readonly string[],
): AblationScope {
  if (sample !== undefined) return { kind: "subject", subject: { kind: "sample", index: sample } };
  if (of === undefined) return { kind: "set" };
  const named = classes.indexOf(of);
  const actual = named >= 0 ? named : /^\d+$/.test(of) ? Number(of) : -1;
  if (actual >= 0 && actual < classes.length) return { kind: "class", actual };
  throw new EngineError({
    code: "usage",
    message: `There is no class ${JSON.stringify(of)}.`,
    hint:
      classes.length === 0 ? "The model is no classifier." : `Classes: ${classes.slice(0, 20).join(", ")}.`,
  });
}

function answered<T extends InterventionAnswer | Ranking>(answer: T | undefined): T {
  if (answer === undefined)
    throw new EngineError({ code: "cancelled", message: "The ranking was cancelled." });
  return answer;
}

const layerOf = ({ layer, part, call, type, kind, units }: UnitLayer): UnitLayer => ({
  layer,
  part,
  call,
  type,
  kind,
  units,
});

function rankingOf(ranking: Ranking, ranked: readonly RankedUnit[]) {
  const { ablated, samples, of, alone, loss, probability } = ranking;
  return { ...layerOf(ranking), ablated, samples, of, alone, loss, probability, ranked: [...ranked] };
}
