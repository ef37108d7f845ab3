/** Short tones for what happens to a training, made by Web Audio: VS Code has no API for sounds. */

export type Sound = "end" | "failure" | "alarm";

/** Frequencies in Hz, one after the other: rising, falling, twice the same. */
const TONES: Record<Sound, readonly number[]> = {
  end: [523, 784],
  failure: [330, 220],
  alarm: [880, 880],
};
/** Seconds of a tone, and of the silence after it. */
const LENGTH = 0.12;
const GAP = 0.04;
const VOLUME = 0.15;
/** Seconds in which a tone gets loud or silent: without them it begins and ends with a click. */
const FADE = 0.01;
/** Milliseconds between two sounds of a kind; those in between are left out. */
const INTERVAL = 10_000;
/** Milliseconds in which a context starts where it may. */
const PATIENCE = 500;

export class Sounds {
  enabled = false;
  readonly #last = new Map<Sound, number>();
  /** Sounds don't overlap. */
  #played: Promise<void> = Promise.resolve();

  /** Plays a sound if they are enabled, and that kind wasn't played a moment ago. */
  play(sound: Sound): void {
    if (!this.enabled) return;
    const now = performance.now();
    if (now - (this.#last.get(sound) ?? Number.NEGATIVE_INFINITY) < INTERVAL) return;
    this.#last.set(sound, now);
    // Without a device for sound, or leave to use it, there is none.
    this.#played = this.#played.then(() => playTones(TONES[sound])).catch(() => undefined);
  }
}

/** A context of its own for each sound: an open one keeps the device busy. */
async function playTones(tones: readonly number[]): Promise<void> {
  const context = new AudioContext();
  try {
    // Browsers wait for a click or key before the first sound of a page. It would be late then, so it is left out.
    const started = context.resume().then(() => true);
    if (!(await Promise.race([started, after(PATIENCE).then(() => false)]))) return;
    tones.forEach((frequency, i) => playTone(context, frequency, context.currentTime + i * (LENGTH + GAP)));
    await after(1000 * tones.length * (LENGTH + GAP));
  } finally {
    await context.close();
  }
}

function playTone(context: AudioContext, frequency: number, start: number): void {
  const end = start + LENGTH;
  const oscillator = new OscillatorNode(context, { frequency });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain
    .setValueAtTime(0, start)
    .linearRampToValueAtTime(VOLUME, start + FADE)
    .setValueAtTime(VOLUME, end - FADE)
    .linearRampToValueAtTime(0, end);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(start);
  oscillator.stop(end);
}

const after = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, milliseconds));
