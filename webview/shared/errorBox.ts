/** The box that every view shows for an error of the user's code or of a run. */
import { html, nothing, type TemplateResult } from "lit";
import type { SourcePosition, UserError } from "../../extension/protocol/errors.ts";
import { baseName } from "./format.ts";
import { button, icon, linkButton } from "./widgets.ts";
import { strings } from "./strings.ts";

export type OpenSource = (file: string, line?: number, column?: number) => void;

export interface ErrorBoxOptions {
  error: UserError;
  title: string;
  open: OpenSource;
  /** Additional content, such as the last checkpoint. */
  extra?: TemplateResult | typeof nothing;
}

export function errorBox({ error, title, open, extra = nothing }: ErrorBoxOptions): TemplateResult {
  const { position, module, hint, stack = [] } = error;
  // The innermost frame is the position itself.
  const callers = stack.filter((frame) => !position || label(frame) !== label(position));
  return html`<div class="error-box" role="alert">
    <p class="error-title">${icon("error")}<strong>${title}</strong></p>
    <p class="error-message">${error.message}</p>
    ${
      position || module
        ? html`<p class="error-place">
            ${position ? sourceLink(position, open) : nothing}
            ${module ? html`<span>${strings.error.inModule(module)}</span>` : nothing}
          </p>`
        : nothing
    }
    ${
      callers.length > 0
        ? html`<details class="error-stack">
            <summary>${strings.error.calledFrom}</summary>
            <ol>
              ${callers.map((frame) => html`<li>${sourceLink(frame, open)}</li>`)}
            </ol>
          </details>`
        : nothing
    }
    ${hint ? html`<p class="error-hint">${icon("lightbulb")}<span>${hint}</span></p>` : nothing} ${extra}
  </div>`;
}

/** Shown instead of a page that can't be loaded. */
export const retryBox = (
  { error, title, open = () => undefined }: Omit<ErrorBoxOptions, "open" | "extra"> & { open?: OpenSource },
  label: string,
  retry: () => void,
): TemplateResult =>
  errorBox({ error, title, open, extra: button({ label, icon: "refresh", onClick: retry }) });

const label = ({ file, line, column }: SourcePosition): string => `${baseName(file)}:${line}:${column}`;

/** "digits.nn.ts:32:14", which opens in the editor. */
export const sourceLink = (position: SourcePosition, open: OpenSource): TemplateResult =>
  linkButton(label(position), () => open(position.file, position.line, position.column), position.file);
