import type { MetricRow } from "./run.ts";

/**
 * At most `limit` rows of each kind, evenly taken, the newest among them: what one message carries. A run of
 * thousands of steps a second would keep readers busy with points that fall on one pixel.
 */
export function thin<Row extends Pick<MetricRow, "kind">>(rows: readonly Row[], limit: number): Row[] {
  const total = { step: 0, epoch: 0, event: 0 };
  for (const { kind } of rows) total[kind]++;
  const seen = { step: 0, epoch: 0, event: 0 };
  return rows.filter(({ kind }) => {
    const stride = Math.max(1, Math.ceil(total[kind] / limit));
    return (total[kind] - ++seen[kind]) % stride === 0;
  });
}
