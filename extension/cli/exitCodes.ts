/** Exit codes of all commands: those of shells and compilers. */
export const ExitCode = {
  ok: 0,
  /** The user's file, the data or the run failed. */
  failed: 1,
  /** Unknown command or option, missing or unreadable argument. */
  usage: 2,
  /** Ended by Ctrl-C; what was trained until then is kept. */
  interrupted: 130,
  /** Ended by SIGTERM; what was trained until then is kept. */
  terminated: 143,
} as const;

export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    the file, its data or the run failed; the message says where
  2    the command line is wrong
  130  ended by Ctrl-C (training keeps the model; a second Ctrl-C ends at once)
  143  ended by SIGTERM (training keeps the model)`;
