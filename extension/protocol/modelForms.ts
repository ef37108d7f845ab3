// A class that experiments build with other arguments has several forms, each with a report of its own.
import type { ModelReport } from "./preview.ts";

type Named = Pick<ModelReport, "name" | "form" | "experiments">;

/** A model's name, unique in its file: the class name, with the exports that build this form where there are several. */
export const modelTitle = ({ name, form }: Pick<ModelReport, "name" | "form">): string =>
  form === undefined ? name : `${name} (${form})`;

/** The model that a title, an export or a class name stands for; of several forms, the first. */
export function findModel<T extends Named>(models: readonly T[], wanted: string | undefined): T | undefined {
  return (
    models.find((model) => modelTitle(model) === wanted) ??
    models.find(({ experiments }) => wanted !== undefined && experiments.includes(wanted)) ??
    models.find(({ name }) => name === wanted) ??
    // A form that has become the only one, or is built by other experiments now.
    models.find(({ name }) => wanted?.startsWith(`${name} (`))
  );
}

/** The model that a view shows: the wanted one, which a failing file may not have; the first one if none is wanted. */
export const shownOf = <T extends Named>(models: readonly T[], wanted: string | undefined): T | undefined =>
  wanted === undefined ? models[0] : findModel(models, wanted);

/** Every model that an export or a class name stands for. */
export function modelsOf<T extends Named>(models: readonly T[], wanted: string): T[] {
  const built = models.filter(({ experiments }) => experiments.includes(wanted));
  return built.length > 0 ? built : models.filter(({ name }) => name === wanted);
}

/** Names each form by the experiments that build it, where a class has several. */
export function withForms(models: readonly ModelReport[]): ModelReport[] {
  return models.map((model) => {
    const alone = models.filter(({ name }) => name === model.name).length === 1;
    return alone ? model : { ...model, form: model.experiments.join(", ") };
  });
}
