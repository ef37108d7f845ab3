// A run engine carries a random number in its command line, which no file has. A lock has a proof made with it, so that
// a process is the lock's owner only when its own command line makes the same proof.
import { createHmac, randomBytes } from "node:crypto";

const FLAG = "--layerwise-run=";
const TOKEN = /^--layerwise-run=([0-9a-f]{32})$/;

/** 128 random bits. */
export function newToken(): string {
  return randomBytes(16).toString("hex");
}

/** The argument of a process that carries a token. */
export function tokenArgument(token: string): string {
  return FLAG + token;
}

/** Tokens among the arguments of a process: an engine has one. */
export function tokensIn(args: readonly string[]): string[] {
  return args.flatMap((one) => TOKEN.exec(one)?.[1] ?? []);
}

/** Takes this process's token out of its arguments, which user code sees; a new one when it has none. */
export function takeToken(args: string[] = process.argv): string {
  const [token = newToken()] = tokensIn(args);
  const at = args.indexOf(tokenArgument(token));
  if (at >= 0) args.splice(at, 1);
  return token;
}

/** A proof about `about` that only a process with the token can make. */
export function proofOf(token: string, about: readonly (string | number)[]): string {
  return createHmac("sha256", token).update(JSON.stringify(about)).digest("hex");
}
