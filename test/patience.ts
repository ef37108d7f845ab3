/** Multiplies the limits of waits, for slow machines. Limits of response times are in bounds.ts. */
const PATIENCE = 3;

/** @returns the milliseconds for which a test waits for what usually takes less than `limit` */
export const patience = (limit: number): number => PATIENCE * limit;

/** For Vitest's `vi.waitFor` and `vi.waitUntil`, which give up after a second, less than a process may need to start. */
export const PATIENT = { timeout: patience(10_000), interval: 50 };
