/** Says why a request failed: an error of the user's code with its line, any other as a notice. */
import { nothing, type TemplateResult } from "lit";
import type { UserError } from "../../extension/protocol/errors.ts";
import { notice } from "../shared/components.ts";
import { errorBox, type OpenSource } from "../shared/errorBox.ts";
import { strings } from "../shared/strings.ts";
import { button } from "../shared/widgets.ts";

export function failure(
  error: UserError | undefined,
  title: string,
  { openSource, dismiss }: { openSource: OpenSource; dismiss: () => void },
): TemplateResult | typeof nothing {
  if (error?.position === undefined) return notice(error?.message, dismiss);
  return errorBox({
    error,
    title,
    open: openSource,
    extra: button({ label: strings.error.dismiss, icon: "close", onClick: dismiss }),
  });
}
