/** Time as the program sees it, so that tests and simulations can bring their own. */
export interface Clock {
  /** ms on a monotonic clock. */
  now(): number;
  /** Calls back once, not before `ms` have passed. @returns what takes it back */
  after(ms: number, callback: () => void): () => void;
  /** Calls back once everything that has arrived by now was read. */
  afterPoll(callback: () => void): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  // Node reads sockets between its timers and its immediates.
  afterPoll: (callback) => void setImmediate(callback),
};
