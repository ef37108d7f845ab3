/** The panel as a function of its state. */
import { html, nothing, type TemplateResult } from "lit";
import { guard } from "lit/directives/guard.js";
import type { UserError } from "../../extension/protocol/errors.ts";
import { isLive, type CheckpointRecord } from "../../extension/protocol/run.ts";
import { errorBox } from "../shared/errorBox.ts";
import { baseName } from "../shared/format.ts";
import { button, icon } from "../shared/widgets.ts";
import { notice, silentNotice } from "../shared/components.ts";
import { unfollowed } from "../shared/place.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { header } from "./header.ts";
import { originSection } from "./history/origin.ts";
import { diffSection } from "./history/runDiff.ts";
import { runsSection } from "./runTable.ts";
import type { TrainingState } from "./state.ts";
import { steering } from "./steering.ts";
import { checkpointsSection, metricsSection, settingsSection } from "./tables.ts";
import { timingSection } from "./timing.ts";

const text = strings.training;

/** The sections that draw on canvases of their own. */
export interface Sections {
  charts: TemplateResult | typeof nothing;
  layers: TemplateResult | typeof nothing;
  pictures: TemplateResult | typeof nothing;
}

export function panel(
  state: TrainingState,
  { charts, layers, pictures }: Sections,
  actions: Actions,
): TemplateResult {
  const training = state.run.kind === "train";
  return html`${header(state, actions)} ${steering(state, actions)}
    ${notice(state.notice, () => actions.dismissNotice())} ${failure(state, actions)} ${charts}
    ${eventsList(state)} ${pictures} ${layers} ${runsSection(state, actions)}
    ${state.diffWith === undefined ? nothing : guard([state.diff], () => diffSection(state.diff, actions))}
    <div class="columns">
      ${training ? metricsSection(state, actions) : nothing}
      ${training && !state.run.imported ? checkpointsSection(state, actions) : nothing}
    </div>
    ${timingSection(state, actions)} ${settingsSection(state)} ${originSection(state, actions)}`;
}

/** The marks on the curves in words. */
function eventsList({ curves }: TrainingState): TemplateResult | typeof nothing {
  if (curves.events.length === 0) return nothing;
  return html`<ul class="events" aria-label=${text.charts.events}>
    ${curves.events
      .slice(-20)
      .map(
        (event) =>
          html`<li><span class="secondary">${text.charts.atStep(event.step)}</span> ${event.text}</li>`,
      )}
  </ul>`;
}

function failure(state: TrainingState, actions: Actions): TemplateResult | typeof nothing {
  const { run, live, unanswered } = state;
  if (unanswered)
    return errorBox({
      error: { code: "unanswered", message: text.failed.unansweredMessage },
      title: text.failed.unanswered,
      open: actions.openSource,
    });
  if (unfollowed(state)) return nothing;
  // Nothing proves that its process has ended: the host follows it for a while.
  if (!live && isLive(run)) return silentNotice(text.failed.silent);
  const killed = run.state === "killed";
  const error: UserError | undefined =
    run.error ?? (killed ? { code: "killed", message: text.failed.killedMessage } : undefined);
  if (!error) return nothing;
  const last = run.checkpoints.toSorted((a, b) => a.savedAt.localeCompare(b.savedAt)).at(-1);
  // The hint names the last checkpoint as well.
  const { hint: _, ...withoutHint } = error;
  return errorBox({
    error: error.code === "killed" && last ? withoutHint : error,
    title: killed ? text.failed.killed : run.state === "stopped" ? text.failed.stopped : text.failed.failed,
    open: actions.openSource,
    extra: last ? lastCheckpoint(last, actions) : nothing,
  });
}

function lastCheckpoint(checkpoint: CheckpointRecord, actions: Actions): TemplateResult {
  const name = baseName(checkpoint.file);
  return html`<p class="last-checkpoint">
    ${icon("history")}<span
      >${text.checkpoints.lastTitle} <b>${name}</b>,
      ${text.checkpoints.last(checkpoint.epoch, checkpoint.step)}</span
    >
    ${button({
      label: text.checkpoints.evaluate,
      description: `${text.checkpoints.evaluate} ${name}`,
      icon: "beaker",
      needsTrust: true,
      onClick: () => actions.evaluate(checkpoint),
    })}
    ${button({
      label: text.checkpoints.reveal,
      description: `${text.checkpoints.reveal} ${name}`,
      icon: "folder-opened",
      onClick: () => actions.reveal(checkpoint),
    })}
  </p>`;
}
