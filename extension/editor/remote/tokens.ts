// Tokens of Ray clusters, kept in VS Code's secret storage by the clusters' addresses.
import * as v from "valibot";
import * as vscode from "vscode";
import { toUserError } from "../../protocol/errors.ts";
import { AuthToken, RayTokens as Tokens, TOKENS_VARIABLE, type Target } from "../../protocol/target.ts";
import { ask, showProgress } from "../show.ts";

const KEY = "layerwise.rayTokens";

export class RayTokens {
  readonly #secrets: vscode.SecretStorage;

  constructor(secrets: vscode.SecretStorage) {
    this.#secrets = secrets;
  }

  /** The stored tokens by address. */
  async all(): Promise<Tokens> {
    const text = await this.#secrets.get(KEY);
    if (text === undefined) return {};
    try {
      return v.parse(Tokens, JSON.parse(text));
    } catch {
      // Invalid: the user is asked again.
      return {};
    }
  }

  /** The variable that gives them to a command line. */
  async environment(): Promise<Record<string, string>> {
    return { [TOKENS_VARIABLE]: JSON.stringify(await this.all()) };
  }

  /**
   * Asks for a token if the machine is a cluster that requires one, and stores a token that it accepts.
   * @returns false if the user cancelled
   * @throws EngineError if the cluster can't be reached
   */
  async authorize(target: Target): Promise<boolean> {
    if (target.kind !== "ray") return true;
    const { addressOf, Jobs } = await import("../../remote/ray/jobs.ts");
    const address = addressOf(target);
    const kept = await this.all();
    let token = Object.hasOwn(kept, address) ? kept[address] : process.env["RAY_AUTH_TOKEN"] || undefined;
    for (let asked = false; ; asked = true) {
      const jobs = new Jobs(target, token);
      const refused = await reached(target.name, (signal) => jobs.version(signal));
      if (refused === undefined) return false;
      if (!refused) {
        if (asked && token !== undefined) await this.#keep({ ...kept, [address]: token });
        return true;
      }
      token = await askToken(target.name, token !== undefined);
      if (token === undefined) return false;
    }
  }

  async #keep(tokens: Tokens): Promise<void> {
    await this.#secrets.store(KEY, JSON.stringify(tokens));
  }
}

/** Whether the cluster refuses the token; undefined if the user cancelled. */
async function reached(
  name: string,
  version: (signal: AbortSignal) => Promise<string>,
): Promise<boolean | undefined> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: vscode.l10n.t("Connecting to {0}", name),
    cancellable: true,
  };
  return showProgress(options, async (_, cancel) => {
    const aborted = new AbortController();
    const listening = cancel.onCancellationRequested(() => aborted.abort());
    try {
      await version(aborted.signal);
      return false;
    } catch (error) {
      if (aborted.signal.aborted) return undefined;
      if (toUserError(error).code === "ray-refused") return true;
      throw error;
    } finally {
      listening.dispose();
    }
  });
}

function askToken(name: string, wrong: boolean): Promise<string | undefined> {
  return ask({
    title: vscode.l10n.t("Token of {0}", name),
    prompt: wrong
      ? vscode.l10n.t("The cluster doesn't accept the token. Enter another one.")
      : vscode.l10n.t("The cluster requires a token. VS Code's secret storage keeps it."),
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) =>
      text === "" || v.is(AuthToken, text)
        ? undefined
        : vscode.l10n.t("A token has letters, digits and signs, without spaces."),
  }).then((text) => text || undefined);
}
