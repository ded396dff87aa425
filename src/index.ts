/** What a program that brings the proxy along imports. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { App } from './app.ts';
import { ConfigError } from './config/errors.ts';
import { type Loaded, loadSettings } from './config/load.ts';
import type { ConfigInput } from './config/keys.ts';
import type { Log } from './core/events.ts';
import type { Address } from './core/settings.ts';
import { createLogger } from './observe/log/logger.ts';
import { Operations } from './admin/operations.ts';
import { type Build, readBuild } from './version.ts';

export { ConfigError };
export type { Address, Build, Log };

/** What a configuration file says, key by key: `{ upstream: 'http://neko:8080', keepalive: { ping_interval: '5s' } }`. */
export type Config = ConfigInput;

export interface CreateAppOptions {
  /** The whole configuration: neither files nor the environment are looked at. */
  readonly config: Config;
  /** Where log lines go. Default: stdout, as `log` in the configuration says. */
  readonly log?: Log;
}

/** A proxy inside another program. It listens to no signals. */
export interface Proxy {
  readonly build: Build;
  /**
   * Listens on every configured address, the admin listener included; to be called once.
   *
   * @returns the addresses in use, with the ports the system chose for port 0; `admin` is null when it is off
   * @throws the system's error when one of them cannot be had; none is in use then
   */
  listen(): Promise<{ readonly addresses: readonly Address[]; readonly admin: Address | null }>;
  /**
   * Puts another configuration in force without closing anything.
   *
   * @returns keys that were changed and need a new proxy
   * @throws ConfigError with every mistake in it; nothing has changed then
   */
  reload(config: Config): readonly string[];
  /** Closes what is open over `timeouts.drain`, and resolves when nothing is left. */
  close(): Promise<void>;
}

/**
 * Makes a proxy of a configuration.
 *
 * @throws ConfigError with every mistake in it
 */
export function createApp({ config, log: given }: CreateAppOptions): Proxy {
  const build = readBuild();
  const { settings, warnings } = load(config);
  const log = given ?? createLogger(settings.log);
  const warn = (texts: readonly string[]): void => texts.forEach((text) => log.warn({}, text));
  warn(warnings);
  const operations = new Operations({ settings, log, build });
  const { observer, adaptive, health } = operations;
  const app = new App({ settings, log, observer, adaptive, health });
  operations.attach(app);

  async function close(): Promise<void> {
    await app.close();
    await operations.close();
  }

  return {
    build,
    close,
    async listen() {
      try {
        return { admin: await operations.listen(), addresses: await app.listen() };
      } catch (error) {
        await close();
        throw error;
      }
    },
    reload(next) {
      try {
        const loaded = load(next);
        const fixed = app.reload(loaded.settings);
        operations.reloaded(true);
        warn(loaded.warnings);
        return fixed;
      } catch (error) {
        operations.reloaded(false);
        throw error;
      }
    },
  };
}

/** The name under which mistakes are reported. */
const NAME = 'config';

/** A configuration in memory is a file that was never written: YAML has JSON in it. */
function load(config: Config): Loaded {
  const text = JSON.stringify(config, null, 2);
  const readFile = (path: string): string => (path === resolve(NAME) ? text : readFileSync(path, 'utf8'));
  return loadSettings({ flags: { config: NAME }, env: {}, readFile });
}
