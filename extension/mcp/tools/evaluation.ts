import * as v from "valibot";
import { EngineError } from "../../protocol/errors.ts";
import type { SampleView, TensorView } from "../../protocol/evaluation.ts";
import { readEvaluation } from "../../supervisor/runs/evaluationFiles.ts";
import { bestFirst, readRecord, weightsPath } from "../../supervisor/runs/runDirectory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { Backend, Num, RunId, State, Values } from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";

/** Returns a training's file, export and best checkpoint. */
export async function trainedModel(
  id: string,
  { workspace }: Services,
): Promise<{ file: string; exportName: string; checkpoint: string }> {
  const directory = await workspace.run(id);
  const record = await readRecord(directory);
  if (record.kind !== "train")
    throw new EngineError({ code: "run-record", message: `Run ${id} is no training.` });
  const [best] = bestFirst(record);
  if (best === undefined)
    throw new EngineError({ code: "no-checkpoint", message: `Run ${id} has no weights yet.` });
  const file = await sourceOfRun(directory, record, { folder: workspace.root });
  return {
    // A record may come from a stranger: its file is checked like a client's.
    file: await workspace.model(file),
    exportName: record.exportName,
    checkpoint: await weightsPath(directory, best),
  };
}

export const evaluate = (services: Services): Tool =>
  tool({
    name: "evaluate",
    title: "Evaluate",
    description:
      "Starts an evaluation of a training's best weights on its held-out data and answers the evaluation's run id; wait for it, then call get_evaluation. Runs the file's code.",
    effect: "runs",
    input: v.strictObject({ run: RunId, device: Backend }),
    output: v.object({ run: v.string(), state: State }),
    async call({ run, device }) {
      const model = await trainedModel(run, services);
      const id = await services.runs.start(services.workspace.root, { kind: "evaluate", device, ...model });
      return { run: id, state: services.runs.firstState(id) };
    },
  });

/** Classes of a confusion matrix in an answer; of more, the largest confusions are listed. */
const MOST_CLASSES = 20;
const MOST_CONFUSIONS = 30;
const NUMBERS = 32;

const Sample = v.object({
  index: v.number(),
  loss: v.optional(Num),
  actual: v.optional(v.string()),
  predicted: v.optional(v.string()),
  confidence: v.optional(Num),
  inputs: v.array(v.string()),
  target: v.optional(v.string()),
  output: v.optional(v.string()),
});

export const getEvaluation = ({ workspace }: Services): Tool =>
  tool({
    name: "get_evaluation",
    title: "Get Evaluation",
    description:
      "The result of an evaluation: metrics, precision and recall of each class, confusion (the matrix of up to 20 classes, else the largest confusions), the samples with the largest loss, errors of a regression.",
    effect: "reads",
    input: v.strictObject({
      run: RunId,
      samples: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(24)), 8),
    }),
    output: v.object({
      samples: v.number(),
      split: v.optional(v.string()),
      metrics: Values,
      classes: v.optional(
        v.array(v.object({ name: v.string(), samples: v.number(), precision: Num, recall: Num })),
      ),
      confusion: v.optional(v.array(v.array(v.number()))),
      confusions: v.optional(
        v.array(v.object({ actual: v.string(), predicted: v.string(), samples: v.number() })),
      ),
      hardest: v.array(Sample),
      regression: v.array(
        v.object({
          name: v.string(),
          meanAbsoluteError: Num,
          rootMeanSquaredError: Num,
          bias: Num,
          r2: Num,
        }),
      ),
    }),
    async call({ run, samples }) {
      const { result, report } = await readEvaluation(await workspace.run(run));
      if (result === undefined)
        throw new EngineError({
          code: "no-evaluation",
          message: `Run ${run} has no evaluation.`,
          hint: "evaluate starts one and answers its run id; wait_for_run waits for it.",
        });
      const { confusion, metrics } = result;
      const name = (i: number): string => (result.classes?.[i] ?? String(i)).slice(0, 200);
      const cells = (confusion ?? []).flatMap((row, i) =>
        row.flatMap((count, j) =>
          i === j || count === 0 ? [] : [{ actual: name(i), predicted: name(j), samples: count }],
        ),
      );
      return {
        samples: result.samples,
        split: report?.split,
        metrics,
        classes: confusion?.slice(0, 100).map((row, i) => classOf(confusion, row, i, name(i))),
        confusion: confusion !== undefined && confusion.length <= MOST_CLASSES ? confusion : undefined,
        confusions:
          confusion === undefined
            ? undefined
            : cells.sort((a, b) => b.samples - a.samples).slice(0, MOST_CONFUSIONS),
        hardest: (report?.hardest ?? []).slice(0, samples).map((one) => sampleOf(one, name)),
        regression: (report?.regression ?? [])
          .slice(0, 16)
          .map(({ name: of, meanAbsoluteError, rootMeanSquaredError, bias, r2 }) => ({
            name: of,
            meanAbsoluteError,
            rootMeanSquaredError,
            bias,
            r2,
          })),
      };
    },
  });

function classOf(
  confusion: readonly (readonly number[])[],
  row: readonly number[],
  i: number,
  name: string,
): { name: string; samples: number; precision: number; recall: number } {
  const samples = row.reduce((a, b) => a + b, 0);
  const predicted = confusion.reduce((sum, other) => sum + (other[i] ?? 0), 0);
  const right = row[i] ?? 0;
  return { name, samples, precision: right / predicted, recall: right / samples };
}

function sampleOf(
  { index, loss, actual, predicted, confidence, inputs, target, output }: SampleView,
  name: (i: number) => string,
): v.InferInput<typeof Sample> {
  return {
    index,
    loss,
    actual: actual === undefined ? undefined : name(actual),
    predicted: predicted === undefined ? undefined : name(predicted),
    confidence,
    inputs: inputs.slice(0, 4).map(viewText),
    target: target === undefined ? undefined : viewText(target),
    output: output === undefined ? undefined : viewText(output),
  };
}

/** A sample's tensor in a line. */
function viewText(view: TensorView): string {
  if (view.kind === "image") return `image, ${view.width} × ${view.height}`;
  if (view.kind === "text") return `text: ${view.tokens.slice(0, 100).join(" ").slice(0, 1000)}`;
  const numbers = view.values.slice(0, NUMBERS).map((x) => Number(x.toPrecision(4)));
  const more = view.values.length > NUMBERS ? ", …" : "";
  return `[${view.shape.join(", ")}]: ${numbers.join(", ")}${more}`;
}
