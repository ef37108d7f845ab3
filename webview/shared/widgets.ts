/**
 * The widgets of all views. The only importer of the widget toolkit, which is deprecated: replacing it changes this file only.
 */
import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeProgressRing,
} from "@vscode/webview-ui-toolkit";
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { strings } from "./strings.ts";
import { styles } from "./styles.ts";

provideVSCodeDesignSystem().register(
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeProgressRing(),
);

/** A codicon by name ("debug-pause"). It is decoration, so it needs a text beside it. */
export const icon = (name: string, className = ""): TemplateResult =>
  html`<i class="codicon codicon-${name} ${className}" aria-hidden="true"></i>`;

/** Whether the workspace is not trusted. When it becomes so, the host loads the page again. */
const isRestricted = (): boolean => document.body.dataset["restricted"] !== undefined;

export interface ButtonOptions {
  label: string;
  icon: string;
  onClick: () => void;
  /** Default "secondary". "icon" shows only the icon; the label is its tooltip and accessible name. */
  appearance?: "primary" | "secondary" | "icon";
  disabled?: boolean;
  /** Whether the host refuses it in an untrusted workspace: then it is disabled, and its tooltip says why. */
  needsTrust?: boolean;
  /** Accessible name and tooltip where the label alone is ambiguous, such as "Reveal best.safetensors". */
  description?: string;
}

export function button(options: ButtonOptions): TemplateResult {
  const { label, appearance = "secondary", description = label, needsTrust = false } = options;
  const refused = needsTrust && isRestricted();
  const disabled = refused || options.disabled === true;
  const click = (): void => {
    if (!disabled) options.onClick();
  };
  const tooltip = appearance === "icon" || description !== label ? description : undefined;
  const reason = refused ? strings.error.restricted : undefined;
  return html`<vscode-button
    class="button"
    appearance=${appearance}
    aria-label=${description}
    title=${[tooltip, reason].filter((text) => text !== undefined).join("\n") || nothing}
    ?disabled=${disabled}
    @click=${click}
    >${icon(options.icon)}${appearance === "icon" ? nothing : html`<b class="button-label">${label}</b>`}</vscode-button
  >`;
}

/** Text that runs `onClick`, such as a source position that opens in the editor. */
export const linkButton = (text: string, onClick: () => void, description = text): TemplateResult =>
  html`<button class="link" title=${description} @click=${onClick}>${text}</button>`;

export function checkbox(
  label: string,
  checked: boolean,
  onChange: (checked: boolean) => void,
): TemplateResult {
  const change = (event: Event): void => {
    const now = (event.target as HTMLInputElement).checked;
    // The element also fires when it is set from here.
    if (now !== checked) onChange(now);
  };
  return html`<vscode-checkbox class="checkbox" .checked=${checked} @change=${change}
    >${label}</vscode-checkbox
  >`;
}

export interface Choice<Value extends string> {
  value: Value;
  label: string;
}

export function dropdown(
  label: string,
  choices: readonly Choice<string>[],
  value: string,
  onChange: (value: string) => void,
): TemplateResult {
  const change = (event: Event): void => {
    const now = (event.target as HTMLSelectElement).value;
    if (now && now !== value) onChange(now);
  };
  return html`<vscode-dropdown class="dropdown" aria-label=${label} @change=${change}>
    ${repeat(
      choices,
      (choice) => choice.value,
      (choice) =>
        html`<vscode-option value=${choice.value} ?selected=${choice.value === value}
          >${choice.label}</vscode-option
        >`,
    )}
  </vscode-dropdown>`;
}

/** A choice of a few visible values: native radio buttons, styled as VS Code's segmented control. */
export function segmented<Value extends string>(
  name: string,
  label: string,
  choices: readonly Choice<Value>[],
  value: Value,
  onChange: (value: Value) => void,
): TemplateResult {
  return html`<div class="segmented" role="radiogroup" aria-label=${label}>
    ${choices.map(
      (choice) =>
        html`<label
          ><input
            type="radio"
            name=${name}
            .checked=${choice.value === value}
            @change=${() => onChange(choice.value)}
          /><span>${choice.label}</span></label
        >`,
    )}
  </div>`;
}

export interface SliderOptions {
  label: string;
  value: number;
  minimum: number;
  maximum: number;
  step: number;
  /** The text beside the slider. */
  text: string;
  onInput: (value: number) => void;
}

export function slider(options: SliderOptions): TemplateResult {
  const input = (event: Event): void => options.onInput((event.target as HTMLInputElement).valueAsNumber);
  return html`<label class="slider"
    ><span>${options.label}</span
    ><input
      type="range"
      min=${options.minimum}
      max=${options.maximum}
      step=${options.step}
      .value=${String(options.value)}
      ${styles({ "--fill": `${(100 * (options.value - options.minimum)) / (options.maximum - options.minimum)}%` })}
      @input=${input}
    /><output>${options.text}</output></label
  >`;
}

/** Shown until a view's first snapshot arrives. */
export const loading = (text: string): TemplateResult =>
  html`<div class="empty" role="status">
    <vscode-progress-ring aria-label=${text}></vscode-progress-ring>
    <p>${text}</p>
  </div>`;

/** A note where there is nothing to show yet. */
export const empty = (text: string): TemplateResult => html`<p class="empty-note">${text}</p>`;

/** A container that scrolls a wide table, also with the keyboard. */
export const scroller = (label: string, content: TemplateResult): TemplateResult =>
  html`<div class="scroller" role="region" tabindex="0" aria-label=${label}>${content}</div>`;

/** A titled section of a panel. */
export const section = (
  id: string,
  title: string,
  content: TemplateResult,
  tools: TemplateResult | typeof nothing = nothing,
): TemplateResult =>
  html`<section class="section section-${id}" aria-labelledby="${id}-title">
    <div class="section-head">
      <h2 id="${id}-title">${title}</h2>
      ${tools}
    </div>
    ${content}
  </section>`;

/** A list of names with values. @param className "pairs" for lines, "figures" for tiles */
export const pairs = (
  className: string,
  rows: readonly (readonly [name: string | TemplateResult, value: unknown])[],
): TemplateResult =>
  html`<dl class=${className}>
    ${rows.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
