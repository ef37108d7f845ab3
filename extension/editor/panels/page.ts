import { xmlText } from "../../protocol/text/markup.ts";
import type { ViewKind } from "../../protocol/views.ts";

export interface PageOptions {
  kind: ViewKind;
  title: string;
  /** Whether the workspace is not trusted: then the page disables what the host would refuse. */
  restricted: boolean;
  /** Language of the texts, such as "en". */
  language: string;
  /** Random, for this page alone. */
  nonce: string;
  /** The webview's own origin, for the policy. */
  source: string;
  script: string;
  styles: readonly string[];
  /** Preloaded: icons that load after their buttons flicker. */
  font: string;
}

/**
 * The page of a view: nothing but its script and styles may load, and no form leaves it. `blob:` workers are the diagram's layout, whose
 * program is fetched; the toolkit reads the nonce for its style elements from the meta element.
 */
export function pageHtml(options: PageOptions): string {
  const { nonce, source } = options;
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${source} 'nonce-${nonce}'`,
    `font-src ${source}`,
    `img-src ${source} data:`,
    `connect-src ${source}`,
    "worker-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const styles = options.styles
    .map((href) => `<link rel="stylesheet" href="${xmlText(href)}">`)
    .join("\n    ");
  return `<!DOCTYPE html>
<html lang="${xmlText(options.language)}">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${xmlText(policy)}">
    <meta property="csp-nonce" content="${nonce}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${xmlText(options.title)}</title>
    <link rel="preload" as="font" type="font/ttf" crossorigin href="${xmlText(options.font)}">
    ${styles}
  </head>
  <body data-view="${options.kind}"${options.restricted ? " data-restricted" : ""}>
    <script nonce="${nonce}" src="${xmlText(options.script)}"></script>
  </body>
</html>
`;
}
