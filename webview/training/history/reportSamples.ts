/** The pictures of a report: those of the training, and samples of its evaluation. */
import type { SampleView, TensorView } from "../../../extension/protocol/evaluation.ts";
import type { RunSamples } from "../../../extension/protocol/history/report.ts";
import { xmlText } from "../../../extension/protocol/text/markup.ts";
import type { Picture } from "../../../extension/protocol/views.ts";
import { formatMetric, formatShare, formatTick } from "../../shared/format.ts";
import { historyStrings } from "../../shared/strings/history.ts";
import { strings } from "../../shared/strings.ts";

export interface DrawnPicture {
  picture: Picture;
  /** Base64. */
  png: string;
}

/** Pictures of a training in its report, and characters of all pictures together: others are left out. */
const MOST_PICTURES = 12;
export const PICTURES_LIMIT = 12 * 2 ** 20;
/** Tokens and numbers of a sample. */
const MOST_TOKENS = 120;
const MOST_NUMBERS = 8;
/** Pixels on the page of a sample's larger side. */
const SAMPLE_SIDE = 112;

const text = historyStrings.report;
const { samples: words } = strings.evaluation;

/** The pictures to show: of each name as many, from the first to the last. */
export function chosenPictures(pictures: readonly Picture[], most = MOST_PICTURES): Picture[] {
  const series = new Map<string, Picture[]>();
  for (const picture of pictures) series.set(picture.name, [...(series.get(picture.name) ?? []), picture]);
  const kept = [...series.values()].slice(0, most);
  const each = Math.floor(most / Math.max(1, kept.length));
  return kept.flatMap((one) => evenly(one, each));
}

function evenly<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  if (most === 1) return items.slice(-1);
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]!);
}

/** @param total Pictures that the training has drawn */
export function picturesHtml(pictures: readonly DrawnPicture[], total: number): string {
  if (total === 0) return "";
  const shown = pictures.map(({ picture, png }) =>
    figure(image(png, strings.pictures.alt(picture)), strings.pictures.alt(picture)),
  );
  const rest = pictures.length === total ? "" : note(text.pictures(pictures.length, total));
  return `${figures(shown)}${rest}`;
}

/** Samples until their pictures take too much. */
export function samplesHtml({ evaluation, split, hardest, examples, classes }: RunSamples): string {
  let left = PICTURES_LIMIT;
  const group = (title: string, samples: readonly SampleView[]): string => {
    const shown = samples.filter((sample) => {
      const size = viewsOf(sample).reduce(
        (sum, view) => sum + (view.kind === "image" ? view.png.length : 0),
        0,
      );
      if (size > left) return false;
      left -= size;
      return true;
    });
    if (samples.length === 0) return "";
    const rest = shown.length === samples.length ? "" : note(text.pictures(shown.length, samples.length));
    return `<h3>${xmlText(title)}</h3>${figures(shown.map((sample) => sampleHtml(sample, classes)))}${rest}`;
  };
  const groups = group(text.hardest, hardest) + group(text.examples, examples);
  return groups === "" ? "" : note(text.evaluated(evaluation, strings.evaluation.splits[split])) + groups;
}

const viewsOf = ({ inputs, output, target }: SampleView): TensorView[] =>
  [...inputs, output, target].filter((view) => view !== undefined);

function sampleHtml(sample: SampleView, classes: readonly string[] = []): string {
  const { index, inputs, actual, predicted, confidence, loss, output, target } = sample;
  const nameOf = (one: number): string => classes[one] ?? String(one);
  const known = actual !== undefined && predicted !== undefined;
  const label = words.sample(index);
  const part = (title: string, view: TensorView | undefined): string =>
    view === undefined || known
      ? ""
      : `<p class="s">${xmlText(title)}</p>${viewHtml(view, `${title}, ${label}`)}`;
  const facts = [
    label,
    ...(known ? [words.verdict(nameOf(predicted), nameOf(actual))] : []),
    ...(confidence === undefined ? [] : [formatShare(confidence)]),
    ...(loss === undefined ? [] : [`${words.loss} ${formatMetric(loss)}`]),
  ];
  const views = inputs.map((view) => viewHtml(view, label)).join("");
  return figure(views + part(words.output, output) + part(words.target, target), facts.join(", "));
}

function viewHtml(view: TensorView, alt: string): string {
  if (view.kind === "image") return image(view.png, alt, view);
  if (view.kind === "text") {
    const cut = view.tokens.length > MOST_TOKENS ? " …" : "";
    return `<p>${xmlText(view.tokens.slice(0, MOST_TOKENS).join(" ").slice(0, 2000) + cut)}</p>`;
  }
  const { names, values } = view;
  const shown = values.slice(0, MOST_NUMBERS).map((value, i) => {
    const number = formatTick(Number(value.toPrecision(4)));
    return names?.[i] === undefined ? number : `${names[i]} ${number}`;
  });
  return `<p>${xmlText(shown.join(", ") + (values.length > shown.length ? ", …" : ""))}</p>`;
}

/** A PNG file; text where that is no base64. */
function image(png: string, alt: string, size?: { width: number; height: number }): string {
  if (!/^[\w+/]+={0,2}$/.test(png)) return `<p>${xmlText(alt)}</p>`;
  const scale = size === undefined ? 1 : SAMPLE_SIDE / Math.max(1, size.width, size.height);
  const [width, height] = [size?.width, size?.height].map((side) =>
    Math.max(1, Math.round((side ?? 0) * scale)),
  );
  const sides = size === undefined ? "" : ` width="${width}" height="${height}"`;
  return `<img src="data:image/png;base64,${png}" alt="${xmlText(alt)}"${sides}>`;
}

const figure = (content: string, caption: string): string =>
  `<figure>${content}<figcaption>${xmlText(caption)}</figcaption></figure>`;

const figures = (all: readonly string[]): string => `<div class="figures">${all.join("\n")}</div>`;

const note = (content: string): string => `<p class="s">${xmlText(content)}</p>`;
