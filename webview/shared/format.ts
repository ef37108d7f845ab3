/** Formats numbers, sizes and times for all views. */

/** Formats a metric as PyTorch prints a tensor: 4 decimals, scientific below 1e-4 and from 1e8 ("0.0432", "1.5000e-05", "nan"). */
export function formatMetric(value: number | null | undefined): string {
  if (value === undefined) return "–";
  if (value === null || Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e8) ? scientific(value, 4) : value.toFixed(4);
}

/** Python's exponents have at least two digits: 1e-05. */
function scientific(value: number, digits?: number): string {
  return value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
}

/** Formats a tick of a value axis, with no more digits than needed ("0.25", "1e-05", "12.5k", "3e+17"). */
export function formatTick(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return scientific(Number(value.toPrecision(5)));
  if (size >= 10_000) {
    const [unit, name] = size >= 1e6 ? [1e6, "M"] : [1e3, "k"];
    return `${Number((value / unit).toPrecision(6))}${name}`;
  }
  return String(Number(value.toPrecision(5)));
}

/** "1,234,567". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** Orders texts as people do: "trial 10" after "trial 9". */
export const COLLATOR = new Intl.Collator("en", { numeric: true });

const POWERS = ["", "k", "M", "G", "T", "P"];

/** Three significant digits and a power of 1000: "61.7 k", "1.23 M"; below 1000 the number itself. */
export function formatCompact(count: number): string {
  let value = Math.abs(count);
  let power = 0;
  // 999.5 would print as "1000" of the smaller unit.
  for (; value >= 999.5 && power < POWERS.length - 1; power++) value /= 1000;
  if (value >= 999.5) return scientific(count, 2);
  const digits = power === 0 ? String(Math.round(value * 100) / 100) : value.toPrecision(3);
  return `${count < 0 ? "-" : ""}${digits}${power === 0 ? "" : ` ${POWERS[power] ?? ""}`}`;
}

/** Powers of 1000, as PyTorch's tools count: "812 B", "246.8 kB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** Two digits, no fraction from 100 ms on: "83 µs", "4.2 ms", "115 ms". */
export function formatMs(ms: number): string {
  if (ms < 0.0995) return `${Number((1000 * ms).toPrecision(2))} µs`;
  return `${ms < 99.5 ? Number(ms.toPrecision(2)) : Math.round(ms)} ms`;
}

/** "0.4 s", "12 s", "4:05", "1:02:03". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds > 0 && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** The local time, with the date if it isn't today: "14:25:01", "31 Jan, 14:25". */
export function formatMoment(iso: string, now = new Date()): string {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return "–";
  if (moment.toDateString() === now.toDateString()) return moment.toLocaleTimeString("en-GB");
  const day = moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day}, ${moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}

/** "12.5 %"; a share that isn't zero never prints as zero. */
export function formatShare(share: number): string {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${(share * 100).toFixed(1)} %`;
}

/** The last segment of a POSIX or Windows path. */
export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}
