/** A side that answers late gets this many times its slowest recent answer, out of so many, but never more than that, in ms. */
const LATE_FACTOR = 2;
const LAST_ANSWERS = 4;
export const MOST_PATIENCE = 600_000;

/** How much longer than the timeout the next answer of a side may take, because of how long its last ones took. */
export class Patience {
  /** In ms; 0: none of the last answers was late. */
  ms = 0;
  /** How long the last answers took, in ms. */
  #times: readonly number[] = [];

  /**
   * A Ping was answered.
   *
   * @param time how long that took since its flush, in ms; `-Infinity`: the answer was here before we heard of the flush
   * @param drain how much of it a slow reader may have needed for what was before the Ping, in ms
   * @param timeout more than this is late, in ms
   */
  note(time: number, drain: number, timeout: number): void {
    const isLate = time - drain > timeout;
    // Late only by what a slow reader may have needed: it says nothing about how fast the side answers.
    if (!isLate && time > timeout) return;
    this.#times = [...this.#times, time - drain].slice(-LAST_ANSWERS);
    const slowest = Math.max(...this.#times);
    this.ms = slowest > timeout ? Math.min(LATE_FACTOR * slowest, MOST_PATIENCE) : 0;
  }
}
