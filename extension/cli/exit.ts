/** Exit codes of the command line; README and --help list them. */
export const EXIT = {
  /** The command failed: an error in the file, a missing tool, a run that ended badly. */
  failure: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** Stopped by Ctrl-C or SIGTERM. */
  interrupted: 130,
} as const;

/** A failure whose message is for the user: it is printed without a stack. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failure, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

let interruption: AbortController | undefined;

/**
 * Returns a signal that the first Ctrl-C or SIGTERM aborts, so that a command can end cleanly; a second one ends the process
 * at once. After the first call, Ctrl-C no longer ends the process by itself.
 */
export function interruptSignal(): AbortSignal {
  if (interruption !== undefined) return interruption.signal;
  const controller = new AbortController();
  interruption = controller;
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return controller.signal;
}
