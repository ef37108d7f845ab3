/** Renders the panel from its state. */
import { modelName } from "../../extension/protocol/runs/title.ts";
import { isLive } from "../../extension/protocol/run.ts";
import { html, nothing, type TemplateResult } from "lit";
import type { Task } from "../../extension/protocol/evaluation.ts";
import { errorBox } from "../shared/errorBox.ts";
import { baseName, formatCount, formatDuration, formatMetric, formatShare } from "../shared/format.ts";
import { button, empty, icon, linkButton, section, pairs } from "../shared/widgets.ts";
import { notice, progressBar, silentNotice } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import { pictureSeries } from "../shared/pictures.ts";
import { placeOf, unfollowed } from "../shared/place.ts";
import { boundarySection } from "./boundary.ts";
import { interveneSection } from "./interveneView.ts";
import { matrix } from "./matrix.ts";
import type { Pad } from "./pad.ts";
import { perClass } from "./perClass.ts";
import { regressionSection } from "./plots.ts";
import { tensorView } from "../shared/tensorView.ts";
import { samplesSection } from "./samples.ts";
import { classNames, type Actions, type EvaluationState } from "./state.ts";
import { tryItSection } from "./tryIt.ts";

const text = strings.evaluation;

export function panel(state: EvaluationState, pad: Pad, theme: number, actions: Actions): TemplateResult {
  const { report, result, ui } = state;
  const names = classNames(state);
  const confusion = result?.confusion;
  return html`${header(state, actions)} ${notice(state.notice, () => actions.dismissNotice())}
  ${failure(state, actions)} ${result ? figures(state) : nothing}
  ${result && !report ? empty(text.noReport) : nothing}
  ${
    confusion && names.length > 0
      ? html`<section class="section section-classes evaluation-grid" aria-label=${text.confusion.title}>
          ${matrix(confusion, names, ui, actions)} ${perClass(confusion, names, ui, actions)}
        </section>`
      : nothing
  }
  ${report && report.regression.length > 0 ? regressionSection(state, actions) : nothing}
  ${report?.boundary ? boundarySection(report.boundary, names, theme) : nothing} ${examplesSection(state)}
  ${picturesSection(state, actions)} ${tryItSection(state, pad, actions)}
  ${interveneSection(state, actions.intervene, actions.openSource)} ${samplesSection(state, actions)}`;
}

const BADGES: Record<EvaluationState["run"]["state"], [kind: string, icon: string]> = {
  starting: ["busy", "sync"],
  running: ["busy", "sync"],
  paused: ["paused", "debug-pause"],
  finished: ["good", "pass"],
  stopped: ["plain", "debug-stop"],
  failed: ["bad", "error"],
  killed: ["bad", "error"],
};

function badgeOf(state: EvaluationState): { kind: string; icon: string; text: string } {
  const { run, live, waitsFor = [] } = state;
  if (live && waitsFor.length > 0) return { kind: "paused", icon: "watch", text: text.states.waiting };
  if (unfollowed(state))
    return { kind: "plain", icon: "debug-disconnect", text: strings.elsewhere.notFollowed };
  if (isSilent(state)) return { kind: "plain", icon: "debug-disconnect", text: text.silent };
  const [kind, icon] = BADGES[run.state];
  return { kind, icon, text: text.states[run.state] };
}

function header(state: EvaluationState, actions: Actions): TemplateResult {
  const { run, live, report, result, pending } = state;
  const { waitsFor = [] } = state;
  const waits = live && waitsFor.length > 0;
  const left = unfollowed(state);
  const badge = badgeOf(state);
  const checkpoint = run.settings["checkpoint"];
  return html`<header class="header">
    <div class="title-row">
      <h1>${modelName(run) || run.exportName}</h1>
      <span class="badge badge-${badge.kind}" data-state=${waits ? "waiting" : run.state}
        >${icon(badge.icon)}${badge.text}</span
      >
      <div class="buttons" role="toolbar" aria-label=${text.title(modelName(run) || run.exportName)}>
        ${
          live
            ? button({
                label: text.cancel,
                icon: "debug-stop",
                needsTrust: true,
                onClick: () => actions.cancel(),
              })
            : left
              ? button({
                  label: strings.elsewhere.attach,
                  icon: "plug",
                  needsTrust: true,
                  onClick: () => actions.attach(),
                })
              : button({
                  label: text.again,
                  icon: "debug-rerun",
                  disabled: pending.has("again"),
                  needsTrust: true,
                  onClick: () => actions.again(),
                })
        }
        ${
          typeof checkpoint === "string"
            ? button({ label: text.openTraining, icon: "graph-line", onClick: () => actions.openTraining() })
            : nothing
        }
        ${button({ label: text.showLog, icon: "output", onClick: () => actions.showLog() })}
      </div>
    </div>
    <ul class="facts">
      <li>${linkButton(baseName(run.file), () => actions.openSource(run.file), run.file)}</li>
      ${typeof checkpoint === "string" ? html`<li title=${checkpoint}>${baseName(checkpoint)}</li>` : nothing}
      ${report ? html`<li>${text.splits[report.split]}</li>` : nothing}
      ${result ? html`<li>${text.ofSamples(result.samples)}</li>` : nothing}
      ${run.executor ? html`<li title=${run.executor.reason ?? nothing}>${run.executor.version}</li>` : nothing}
      ${run.on ? html`<li>${placeOf(state)}</li>` : nothing}
    </ul>
    ${waits ? html`<p class="secondary">${text.waitsFor(waitsFor)}</p>` : live ? progress(state) : nothing}
    ${
      report?.split === "train"
        ? html`<p class="notice">${icon("warning")}<span>${text.trainWarning}</span></p>`
        : nothing
    }
  </header>`;
}

function progress({ progress }: EvaluationState): TemplateResult {
  const share = progress && progress.stepsPerEpoch > 0 ? progress.stepInEpoch / progress.stepsPerEpoch : 0;
  return html`<div class="progress">
    ${progressBar({ label: text.progress, share, moves: progress === undefined })}
    ${progress ? html`<p class="secondary">${formatShare(share)}, ${text.remaining(formatDuration(progress.eta))}</p>` : nothing}
  </div>`;
}

/** Whether nothing shows that its process has ended, nor that it is at work. */
const isSilent = (state: EvaluationState): boolean => !state.live && !unfollowed(state) && isLive(state.run);

function failure(state: EvaluationState, actions: Actions): TemplateResult | typeof nothing {
  const { run, result } = state;
  if (isSilent(state)) return silentNotice(text.silentNotice);
  const killed = run.state === "killed";
  const error = run.error ?? (killed ? { code: "killed", message: text.killedMessage } : undefined);
  if (error) return errorBox({ error, title: killed ? text.killed : text.failed, open: actions.openSource });
  return run.state === "stopped" && !result ? empty(text.stopped) : nothing;
}

function figures({ result }: EvaluationState): TemplateResult {
  const { samples = 0, metrics = {}, confusion } = result ?? {};
  const correct = confusion?.reduce((sum, row, index) => sum + (row[index] ?? 0), 0);
  const all: [name: string, value: string][] = [
    ...Object.entries(metrics).map(([name, value]): [string, string] => [name, formatMetric(value)]),
    ...(correct === undefined ? [] : [[text.correctFigure, formatCount(correct)] as [string, string]]),
    [text.samplesFigure, formatCount(samples)],
  ];
  return html`<section class="section" aria-label=${text.figures}>${pairs("figures", all)}</section>`;
}

const EXAMPLES: Partial<Record<Task, string>> = text.examples;

/** Originals beside their reconstructions; for a generator, its samples. */
function examplesSection({ report }: EvaluationState): TemplateResult | typeof nothing {
  const title = report && EXAMPLES[report.task];
  if (!report || title === undefined || report.examples.length === 0) return nothing;
  const { original, made } = text.samples;
  const generation = report.task === "generation";
  return section(
    "examples",
    title,
    html`<ul class="pairs-list">
        ${report.examples.map(
          ({ index, inputs, output }) =>
            html`<li class=${generation ? "single" : ""}>
              ${generation ? nothing : inputs.map((view) => tensorView(view, `${original} ${index}`, 6))}
              ${output ? tensorView(output, `${made} ${index}`, 6) : nothing}
            </li>`,
        )}
      </ul>
      ${generation ? nothing : html`<p class="secondary">${original}, ${made}</p>`}`,
  );
}

/** Pictures that the training saved, epoch by epoch. */
function picturesSection(state: EvaluationState, actions: Actions): TemplateResult | typeof nothing {
  const { pictures, fetched } = state;
  return pictureSeries({
    pictures,
    index: state.picture,
    fetched,
    onMove: (index) => actions.showPicture(index),
  });
}
