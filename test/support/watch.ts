/** Waiting for what has not happened yet, without polling: whoever changes the state says so. */
export type { Cleanup } from './cleanup.ts';

/** For peers on a loaded machine. It only bounds how long a failing test takes. */
const PATIENCE = 90_000;

export class Watch {
  readonly #waiting = new Set<() => void>();

  /** To be called after every change. */
  changed(): void {
    for (const look of this.#waiting) look();
  }

  /**
   * Resolves with the first value of `probe` that is neither null, undefined nor false. Rejects with what `probe`
   * throws, or after `patience` ms, saying what it waited for; a function is asked at that time, so that it can show
   * what was there instead.
   */
  until<T>(probe: () => T | null | undefined | false, what: string | (() => string), patience = PATIENCE): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        end();
      };
      const look = (): void => {
        try {
          const value = probe();
          if (value !== null && value !== undefined && value !== false) settle(() => resolve(value));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const giveUp = (): void => {
        const detail = typeof what === 'string' ? what : what();
        settle(() => reject(new Error(`waited ${patience} ms in vain for ${detail}`)));
      };
      const timer = setTimeout(giveUp, patience);
      this.#waiting.add(look);
      look();
    });
  }
}
