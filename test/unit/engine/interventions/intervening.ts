// An experiment's model, asked what interventions change.
import { ModelInterventions } from "../../../../extension/engine/evaluation/modelInterventions.ts";
import { taskOf } from "../../../../extension/engine/evaluation/decisions.ts";
import { Outcomes } from "../../../../extension/engine/evaluation/outcomes.ts";
import { evaluated } from "../../../../extension/engine/evaluation/subject.ts";
import { prepare } from "../../../../extension/engine/training/prepare.ts";
import { data, experiment, type nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Loss } from "../../../../extension/nn/experiment/experiment.ts";
import type { AblationQuery, Intervention, Ranking } from "../../../../extension/protocol/interventions.ts";

export type Net = nn.Module & ((...inputs: Tensor[]) => Tensor);

/** @param tensors Inputs and, last, targets: the set that is evaluated */
export async function interventionsOf(
  model: Net,
  tensors: [Tensor, ...Tensor[]],
  loss: Loss,
): Promise<ModelInterventions> {
  const dataset = new data.TensorDataset(...tensors);
  const prepared = await prepare(
    experiment({
      model: () => model,
      data: () => dataset,
      loss,
      optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
      epochs: 1,
    }),
    0,
  );
  model.eval();
  const subject = evaluated(prepared, []);
  const outcomes = new Outcomes(loss);
  const target = tensors.at(-1)!;
  const output = torch.noGrad(() => model(...tensors.slice(0, -1)));
  outcomes.add(tensors, output, target);
  const task = taskOf(output, target, { loss, single: false });
  return new ModelInterventions({ subject, task, outcomes });
}

export async function rank(model: ModelInterventions, query: AblationQuery): Promise<Ranking> {
  const ranking = await model.rank(query, { tell: () => undefined, signal: new AbortController().signal });
  return ranking!;
}

export const sample = (index: number) => ({ kind: "sample" as const, index });
/** A layer's own output. */
export const output = (layer: string) => ({ layer, part: "output" as const });
/** The unit gives 0. */
export const off = (layer: string, unit: number): Intervention => ({
  ...output(layer),
  unit,
  by: { mode: "zero" },
});
