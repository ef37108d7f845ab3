/** A profiled training step: figures of the step, and of each layer. */
import { html, nothing, type TemplateResult } from "lit";
import { modelTitle } from "../../extension/protocol/modelForms.ts";
import { gflops, type Pass, type Profile } from "../../extension/protocol/profile.ts";
import type { ModelReport } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../extension/protocol/views.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatBytes, formatMs, formatShare } from "../shared/format.ts";
import { button, icon } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { MeasuredLayers } from "./measuredLayers.ts";
import type { Actions } from "./actions.ts";

const text = strings.architecture.profile;

let known: MeasuredLayers | undefined;

/** The measurements of the drawn model; undefined if another model was profiled. */
export function measuredLayers(
  { profile: shown }: ArchitectureSnapshot,
  model: ModelReport | undefined,
): MeasuredLayers | undefined {
  if (shown?.profile === undefined || model?.experiments.includes(shown.exportName) !== true)
    return undefined;
  if (known?.profile !== shown.profile) known = new MeasuredLayers(shown.profile);
  return known;
}

function formatSpeed(pass: Pass): string | undefined {
  const value = gflops(pass);
  return value === undefined ? undefined : text.speed(value < 9.95 ? value.toFixed(1) : value.toFixed(0));
}

/** Rows of a layer's details. */
export function measuredRows(measured: MeasuredLayers, path: string): [name: string, value: string][] {
  const layer = measured.of(path);
  if (layer === undefined) return [];
  const { forward, backward, activationBytes, gradientBytes } = layer;
  const rows: [string, string | undefined][] = [
    [text.forward, formatMs(forward.ms)],
    [text.backward, formatMs(backward.ms)],
    [text.share, formatShare((forward.ms + backward.ms) / measured.profile.opByOpMs)],
    [text.speedOf.forward, formatSpeed(forward)],
    [text.speedOf.backward, formatSpeed(backward)],
    [text.activations, activationBytes > 0 ? formatBytes(activationBytes) : undefined],
    [text.gradients, gradientBytes > 0 ? formatBytes(gradientBytes) : undefined],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}

/** The button that starts a profile, replacing an earlier one. */
export function profileTool(
  { profile: shown }: ArchitectureSnapshot,
  model: ModelReport | undefined,
  actions: Actions,
): TemplateResult | typeof nothing {
  if (model === undefined || model.experiments.length === 0 || shown?.doing !== undefined) return nothing;
  return button({
    label: text.measure,
    icon: "pulse",
    description: text.measureHint,
    needsTrust: true,
    onClick: () => actions.profile(modelTitle(model)),
  });
}

/** The bar above the model with the state and figures of a profile. */
export function profileBar(
  snapshot: ArchitectureSnapshot,
  model: ModelReport | undefined,
  actions: Actions,
): TemplateResult | typeof nothing {
  const { profile: shown } = snapshot;
  if (shown === undefined || model?.experiments.includes(shown.exportName) !== true) return nothing;
  const { doing, error, profile } = shown;
  const end = button({
    label: doing === undefined ? text.close : text.cancel,
    icon: "close",
    onClick: () => actions.endProfile(),
  });
  return html`<section class="profile-bar" aria-label=${text.title}>
    <div class="profile-head">
      ${
        doing === undefined
          ? html`<strong
              >${profile === undefined ? text.title : text.step(profile.batch, profile.engine)}</strong
            >`
          : html`<vscode-progress-ring aria-hidden="true"></vscode-progress-ring
              ><span role="status">${doing}</span>`
      }
      ${shown.outdated === true ? html`<span class="outdated">${icon("history")}${text.outdated}</span>` : nothing}
      ${end}
    </div>
    ${error === undefined ? nothing : errorBox({ error, title: text.failed, open: actions.openSource })}
    ${profile === undefined ? nothing : outcome(profile)}
  </section>`;
}

function outcome(profile: Profile): TemplateResult {
  const { compiledMs, opByOpMs, update, layers, limitGflops, peakBytes, fallbacks, choices } = profile;
  const outside = layers.find(({ path }) => path === "");
  const share = (ms: number): string => `${formatMs(ms)} (${formatShare(ms / opByOpMs)})`;
  const figures: [name: string, value: string, hint?: string][] = [
    ...(compiledMs === undefined
      ? []
      : [
          [
            text.compiled,
            compiledMs < opByOpMs
              ? `${formatMs(compiledMs)}, ${text.times((opByOpMs / compiledMs).toFixed(1))}`
              : formatMs(compiledMs),
          ] satisfies [string, string],
        ]),
    [text.opByOp, formatMs(opByOpMs)],
    [text.optimizer, share(update.ms)],
    ...(outside === undefined
      ? []
      : [
          [text.outside, share(outside.forward.ms + outside.backward.ms), text.outsideHint] satisfies [
            string,
            string,
            string,
          ],
        ]),
    [text.peak, formatBytes(peakBytes)],
    [text.limit, text.speed(limitGflops.toFixed(0)), text.limitHint],
  ];
  return html`<dl class="figures">
      ${figures.map(
        ([name, value, hint]) =>
          html`<div title=${hint ?? nothing}>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
    <p class="secondary">${text.explanation}</p>
    ${
      fallbacks.length > 0
        ? html`<ul class="fallbacks">
            ${fallbacks.map((fallback) => html`<li>${icon("warning")}<span>${text.fellBack}: ${fallback}</span></li>`)}
          </ul>`
        : compiledMs === undefined
          ? nothing
          : html`<p class="secondary">${text.allCompiled}</p>`
    }
    <details class="choices">
      <summary>${text.choices}</summary>
      <ul>
        ${choices.map(
          ({ graph, about, chosen, why }) =>
            html`<li>${graph === "" ? "" : `${graph}: `}<strong>${about} ${chosen}</strong> – ${why}</li>`,
        )}
      </ul>
    </details>`;
}
