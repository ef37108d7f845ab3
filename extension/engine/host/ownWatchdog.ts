import { Watchdog } from "./watchdog.ts";

/**
 * The watchdog of this process. The program of an engine imports this file first: the watchdog's thread takes as long to start as the rest of the
 * program, so both start at once.
 */
export const watchdog = new Watchdog();
