/** Controls of a running training. */
import { html, nothing, type TemplateResult } from "lit";
import { formatTick } from "../shared/format.ts";
import { button } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { isRate } from "./curves.ts";
import { steerable, type TrainingState } from "./state.ts";

const text = strings.training.steering;

/** As protocol/controls.ts demands. */
const MOST_EPOCHS = 1_000_000;
const MOST_STEPS = 1_000_000_000;

export function steering(state: TrainingState, actions: Actions): TemplateResult | typeof nothing {
  const { run, live } = state;
  if (!steerable(run) || !live || run.state === "starting") return nothing;
  const rates = Object.keys(run.metrics).filter(isRate);
  return html`<div class="steering" role="group" aria-label=${text.title}>
    ${field({
      name: "epochs",
      label: text.epochs,
      action: text.run,
      icon: "add",
      placeholder: "10",
      fallback: 10,
      pending: state.pending.has("addEpochs"),
      problem: text.whole(MOST_EPOCHS),
      valid: (count) => Number.isInteger(count) && count >= 1 && count <= MOST_EPOCHS,
      onSubmit: (count) => actions.steer("addEpochs", text.epochs, count),
    })}
    ${field({
      name: "steps",
      label: text.steps,
      action: text.run,
      icon: "debug-step-over",
      placeholder: "100",
      fallback: 100,
      pending: state.pending.has("step"),
      problem: text.whole(MOST_STEPS),
      valid: (count) => Number.isInteger(count) && count >= 1 && count <= MOST_STEPS,
      onSubmit: (count) => actions.steer("step", text.steps, count),
    })}
    ${(rates.length > 0 ? rates : ["lr"]).map((name) => {
      const optimizer = name === "lr" ? undefined : name.slice("lr_".length);
      return field({
        name,
        label: text.rate(optimizer),
        action: text.set,
        icon: "check",
        placeholder: run.metrics[name] === undefined ? "0.001" : formatTick(run.metrics[name]),
        pending: state.pending.has("setLearningRate"),
        problem: text.notNegative,
        valid: (rate) => rate >= 0,
        onSubmit: (rate) =>
          optimizer === undefined
            ? actions.steer("setLearningRate", text.rate(), rate)
            : actions.steer("setLearningRate", text.rate(optimizer), rate, optimizer),
      });
    })}
  </div>`;
}

interface Field {
  name: string;
  label: string;
  action: string;
  icon: string;
  placeholder: string;
  /** Value of an empty field; without it, an empty field does nothing. */
  fallback?: number;
  pending: boolean;
  valid: (value: number) => boolean;
  /** Said of a value that isn't valid. */
  problem: string;
  onSubmit: (value: number) => void;
}

/** A number with its label and button. Only the field keeps the typed text. */
function field(options: Field): TemplateResult {
  const id = `steer-${options.name}`;
  const submit = (): void => {
    const input = document.querySelector<HTMLInputElement>(`#${CSS.escape(id)}`);
    if (!input || options.pending) return;
    const value = input.value.trim() === "" ? (options.fallback ?? Number.NaN) : Number(input.value);
    const valid = Number.isFinite(value) && options.valid(value);
    input.setAttribute("aria-invalid", String(!valid));
    input.setCustomValidity(valid ? "" : options.problem);
    // Shows the text at the field, which gets the focus.
    if (!input.reportValidity()) return;
    input.value = "";
    options.onSubmit(value);
  };
  return html`<div class="steer">
    <label for=${id}>${options.label}</label>
    <input
      id=${id}
      class="input"
      inputmode="decimal"
      size="7"
      autocomplete="off"
      placeholder=${options.placeholder}
      @input=${(event: InputEvent) => (event.target as HTMLInputElement).setCustomValidity("")}
      @keydown=${(event: KeyboardEvent) => event.key === "Enter" && submit()}
    />
    ${button({
      label: options.action,
      description: `${options.action}: ${options.label}`,
      icon: options.icon,
      needsTrust: true,
      disabled: options.pending,
      onClick: submit,
    })}
  </div>`;
}
